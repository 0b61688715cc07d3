// Layout, little-endian: 8 bytes magic, u64 size of the header, header (JSON: version, facts, name,
// type and shape of every tensor), the tensors row-major one after the other, u64 XXH3 of all that
// stands before it.
#include "train/torch/checkpoint.h"

#include <cstring>
#include <iterator>
#include <memory>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "core/file.h"
#include "train/error.h"

namespace strata::train {
namespace {

using nlohmann::json;
using Bytes = std::span<const uint8_t>;

constexpr char kMagic[8] = {'S', 'T', 'R', 'A', 'T', 'A', 'C', 'K'};
constexpr int kVersion = 1;
constexpr size_t kPrefix = sizeof(kMagic) + sizeof(uint64_t);

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw Error("cannot resume from '" + path + "': " + reason);
}

template <typename T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(T)};
}

Bytes bytes_of(const at::Tensor& tensor) {
  return {static_cast<const uint8_t*>(tensor.data_ptr()), tensor.nbytes()};
}

class Hash {
 public:
  Hash() : state_(XXH3_createState(), XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
  void update(Bytes bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  [[nodiscard]] uint64_t digest() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

/// "section.key" to value, of TOML with one key a line.
std::map<std::string, std::string> keys_of(const std::string& toml) {
  std::map<std::string, std::string> keys;
  std::istringstream lines(toml);
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('[')) {
      section = line.substr(1, line.find(']') - 1) + ".";
    } else if (const size_t equals = line.find(" = "); equals != std::string::npos) {
      keys[section + line.substr(0, equals)] = line.substr(equals + 3);
    }
  }
  return keys;
}

void check_recipe(const std::string& path, const std::string& stored, const std::string& current) {
  const auto was = keys_of(stored);
  const auto is = keys_of(current);
  // An older build may not have known a key: it did what is the default since.
  const auto defaults = keys_of(to_toml(Recipe()));
  const auto value = [&](const auto& keys, const std::string& key) {
    if (const auto found = keys.find(key); found != keys.end()) return found->second;
    const auto usual = defaults.find(key);
    return usual == defaults.end() ? std::string("nothing") : usual->second;
  };
  auto all = was;
  all.insert(is.begin(), is.end());
  for (const auto& [key, unused] : all) {
    // Where the data lie and how often to save has no influence on the result.
    if (key.starts_with("checkpoint.") || key == "data.dir") continue;
    if (value(was, key) == value(is, key)) continue;
    fail(path, "its run had " + key + " = " + value(was, key) + ", the recipe now has " +
                   value(is, key) + "; put the key back, or start without --resume");
  }
}

json describe(const std::string& name, const at::Tensor& tensor) {
  return {{"name", name},
          {"type", static_cast<int>(tensor.scalar_type())},
          {"shape", tensor.sizes().vec()}};
}

/// A checkpoint that is whole and of this version.
struct OpenCheckpoint {
  MappedFile file;
  json header;
  Bytes tensors;
};

OpenCheckpoint open_checkpoint(const std::string& path) {
  OpenCheckpoint open{value_or_throw(MappedFile::open(path)), {}, {}};
  const Bytes bytes = open.file.bytes();
  if (bytes.size() < sizeof(kMagic) || std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) != 0) {
    fail(path, "it is not a checkpoint of strata");
  }
  uint64_t digest = 0;
  uint64_t header_size = 0;
  if (bytes.size() < kPrefix + sizeof(digest)) fail(path, "it is truncated");
  const Bytes body = bytes.first(bytes.size() - sizeof(digest));
  std::memcpy(&digest, body.data() + body.size(), sizeof(digest));
  std::memcpy(&header_size, bytes.data() + sizeof(kMagic), sizeof(header_size));
  Hash hash;
  hash.update(body);
  if (hash.digest() != digest) fail(path, "it is damaged or truncated (checksum)");
  if (header_size > body.size() - kPrefix) fail(path, "its header is longer than the file");

  const uint8_t* text = body.data() + kPrefix;
  open.header = json::parse(text, text + header_size, nullptr, /*allow_exceptions=*/false);
  if (open.header.is_discarded() || open.header.value("version", 0) != kVersion) {
    fail(path, "it was written by another version of strata");
  }
  open.tensors = body.subspan(kPrefix + header_size);
  return open;
}

}  // namespace

void write_checkpoint(const std::string& path, const CheckpointFacts& facts,
                      const VisitState& state) {
  std::vector<at::Tensor> tensors;
  json header = {{"version", kVersion},
                 {"recipe", facts.recipe},
                 {"data_digest", facts.data_digest},
                 {"steps_done", facts.steps_done},
                 {"seconds", facts.seconds},
                 {"tensors", json::array()}};
  state([&](const std::string& name, at::Tensor& tensor) {
    tensors.push_back(tensor.detach().to(at::kCPU).contiguous());
    header["tensors"].push_back(describe(name, tensor));
  });
  const std::string text = header.dump();
  const uint64_t size = text.size();
  std::vector<Bytes> parts = {bytes_of(kMagic),
                              bytes_of(size),
                              {reinterpret_cast<const uint8_t*>(text.data()), text.size()}};
  for (const at::Tensor& tensor : tensors) parts.push_back(bytes_of(tensor));
  Hash hash;
  for (const Bytes part : parts) hash.update(part);
  const uint64_t digest = hash.digest();
  parts.push_back(bytes_of(digest));
  const Status status = write_file_atomically(path, parts);
  if (!status.ok()) {
    throw Error("the checkpoint could not be written: " + status.message() +
                "; an earlier checkpoint is kept, make room and continue with --resume");
  }
}

CheckpointFacts read_checkpoint(const std::string& path, const CheckpointFacts& expected,
                                const VisitState& state) {
  const OpenCheckpoint open = open_checkpoint(path);
  const json& header = open.header;
  CheckpointFacts facts;
  facts.recipe = header.at("recipe");
  facts.data_digest = header.at("data_digest");
  facts.steps_done = header.at("steps_done");
  facts.seconds = header.at("seconds");
  check_recipe(path, facts.recipe, expected.recipe);
  if (facts.data_digest != expected.data_digest) {
    fail(path,
         "its run had other training data; use the same data set, or start without "
         "--resume");
  }

  const at::NoGradGuard no_grad;
  Bytes rest = open.tensors;
  size_t index = 0;
  state([&](const std::string& name, at::Tensor& tensor) {
    const json& tensors = header.at("tensors");
    if (index >= tensors.size() || tensors[index] != describe(name, tensor) ||
        tensor.nbytes() > rest.size()) {
      fail(path, "its tensor " + std::to_string(index) + " is not the '" + name +
                     "' that this recipe trains");
    }
    const at::Tensor source = at::empty(tensor.sizes(), tensor.scalar_type());
    std::memcpy(source.data_ptr(), rest.data(), source.nbytes());
    tensor.copy_(source);
    rest = rest.subspan(source.nbytes());
    ++index;
  });
  return facts;
}

Recipe checkpoint_recipe(const std::string& path) {
  const OpenCheckpoint open = open_checkpoint(path);
  return parse_recipe(open.header.at("recipe").get<std::string>(), path);
}

}  // namespace strata::train
