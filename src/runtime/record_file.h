// What the small files beside a model share: a magic, a version, a number of records that nothing
// is expected of when they are read, and a checksum over all of it (docs/format.md).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/byte_fields.h"
#include "core/file.h"
#include "core/status.h"

namespace strata::runtime {

struct RecordFormat {
  std::array<uint8_t, 8> magic = {};
  uint32_t version = 1;
  const char* record = "";  ///< what one is called: "profile"
  const char* again = "";   ///< how to make new ones: "measure again with 'strata profile'"
  size_t most = 64;         ///< records of a file
};

/// Most bytes of a text in a record, such as the name of a processor.
inline constexpr size_t kMaxRecordText = 256;

Status damaged_records(const RecordFormat& format, const std::string& name, const std::string& why);

/// What stands before the records. Errors: more than format.most.
Result<std::vector<uint8_t>> begin_records(const RecordFormat& format, size_t count);
/// Puts the checksum behind the last one.
void seal_records(std::vector<uint8_t>& bytes);

struct OpenedRecords {
  uint32_t count = 0;
  FieldReader fields;  ///< of all records, one after the other
};
/// Errors: not such a file, damage, a version of a later build. `name` stands for the path.
Result<OpenedRecords> open_records(const RecordFormat& format, std::span<const uint8_t> bytes,
                                   const std::string& name);

/// Every record as `read(fields, name)` gives it. Errors: those of open_records() and `read`, bytes
/// behind the last record.
template <typename Record, typename Read>
Result<std::vector<Record>> decode_records(const RecordFormat& format,
                                           std::span<const uint8_t> bytes, const std::string& name,
                                           const Read& read) {
  STRATA_ASSIGN_OR_RETURN(OpenedRecords opened, open_records(format, bytes, name));
  std::vector<Record> records;
  for (uint32_t i = 0; i < opened.count; ++i) {
    STRATA_ASSIGN_OR_RETURN(Record record, read(opened.fields, name));
    records.push_back(std::move(record));
  }
  if (opened.fields.left() == 0) return records;
  return damaged_records(format, name, std::string("something follows the last ") + format.record);
}

/// Adds one to those that `stored` found in a file, without those that `gives_way(old)`; of too
/// many the oldest goes. A file that is not there is an empty one; any other failure is returned.
template <typename Record, typename GivesWay>
Result<std::vector<Record>> with_record(const RecordFormat& format,
                                        Result<std::vector<Record>> stored, const Record& record,
                                        const GivesWay& gives_way) {
  std::vector<Record> records;
  if (stored.ok()) {
    records = std::move(stored).value();
  } else if (stored.status().code() != StatusCode::kNotFound) {
    return stored.status();
  }
  std::erase_if(records, gives_way);
  if (records.size() == format.most) records.erase(records.begin());
  records.push_back(record);
  return records;
}

/// The first of the records that are most like what is wanted, null if there is none.
/// `likeness(fingerprint)`: how many fields, from the weightiest on, are as wanted.
template <typename Record, typename Likeness>
const Record* nearest_record(std::span<const Record> records, const Likeness& likeness) {
  const auto nearest =
      std::max_element(records.begin(), records.end(), [&](const Record& a, const Record& b) {
        return likeness(a.fingerprint) < likeness(b.fingerprint);
      });
  return nearest == records.end() ? nullptr : &*nearest;
}

}  // namespace strata::runtime
