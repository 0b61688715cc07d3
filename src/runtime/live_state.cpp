// Live states as files in shared memory.
#include "runtime/live_state.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/bit_cast.h"

namespace strata::runtime {
namespace {

constexpr uint64_t kMagic = 0x31'65'76'69'6c'72'74'73;  // "strlive1": changes with LiveSnapshot
constexpr size_t kWords = sizeof(LiveSnapshot) / sizeof(uint64_t);
constexpr int kReadTries = 10000;
constexpr int kNameLength = 24;

/// What lies in the file: a sequence lock after Boehm, "Can seqlocks get along with programming
/// language memory models?" (2012). Every word is atomic, so that a torn read is no undefined
/// behaviour but a changed sequence number. Word stores release and loads acquire, in place of
/// fences, which thread sanitizers do not know.
struct SharedState {
  std::atomic<uint64_t> magic;
  std::atomic<uint64_t> sequence;  ///< odd while the writer is at it
  std::array<std::atomic<uint64_t>, kWords> words;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::is_standard_layout_v<SharedState>);

Status refused(const std::string& what, const std::string& path) {
  return io_error(what + " '" + path + "': " + std::strerror(errno));
}

/// A folder that nobody else can put files into.
Status make_folder(const std::string& folder) {
  if (mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
    return refused("cannot make the folder for live states", folder);
  }
  struct stat info {};
  if (lstat(folder.c_str(), &info) != 0) return refused("cannot look at", folder);
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
    return failed_precondition("'" + folder + "' is not a folder of this user; remove it");
  }
  return {};
}

/// True if the process that the file is named after still runs, or the name is none of ours.
bool has_writer(std::string_view name) {
  int64_t process = 0;
  const char* const name_end = name.data() + name.size();
  const auto [end, failure] = std::from_chars(name.data(), name_end, process);
  if (failure != std::errc() || (end != name_end && *end != '.') || process <= 0) return true;
  return kill(static_cast<pid_t>(process), 0) == 0 || errno == EPERM;
}

}  // namespace

std::string live_state_folder() { return "/dev/shm/strata-" + std::to_string(geteuid()); }

Result<std::unique_ptr<LiveStateWriter>> LiveStateWriter::create(const std::string& path) {
  std::unique_ptr<LiveStateWriter> writer(new LiveStateWriter);
  std::string place = path;
  if (place.empty()) {
    STRATA_RETURN_IF_ERROR(make_folder(live_state_folder()));
    place = live_state_folder() + "/" + std::to_string(getpid());
    static std::atomic<int> writers = 0;
    if (const int others = writers++; others > 0) place += "." + std::to_string(others);
  }
  // A new file each time: whoever reads the old one keeps it.
  if (unlink(place.c_str()) != 0 && errno != ENOENT) return refused("cannot replace", place);
  const int file =
      open(place.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (file < 0) return refused("cannot make the live state", place);
  const bool sized = ftruncate(file, sizeof(SharedState)) == 0;
  void* memory =
      sized ? mmap(nullptr, sizeof(SharedState), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
            : MAP_FAILED;
  const int error = errno;
  close(file);
  if (memory == MAP_FAILED) {
    unlink(place.c_str());
    errno = error;
    return refused("cannot map the live state", place);
  }
  auto* state = new (memory) SharedState{};
  state->magic.store(kMagic, std::memory_order_release);
  writer->memory_ = memory;
  writer->path_ = std::move(place);
  return writer;
}

LiveStateWriter::~LiveStateWriter() {
  if (memory_ == nullptr) return;
  unlink(path_.c_str());
  munmap(memory_, sizeof(SharedState));
}

void LiveStateWriter::publish(const LiveSnapshot& snapshot) {
  auto& state = *static_cast<SharedState*>(memory_);
  const auto words = strata::bit_cast<std::array<uint64_t, kWords>>(snapshot);
  const uint64_t sequence = state.sequence.load(std::memory_order_relaxed);
  state.sequence.store(sequence + 1, std::memory_order_relaxed);
  for (size_t i = 0; i < kWords; ++i) state.words[i].store(words[i], std::memory_order_release);
  state.sequence.store(sequence + 2, std::memory_order_release);
}

Result<LiveSnapshot> read_live_state(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return not_found("there is no live state at '" + path + "'");
    return refused("cannot open the live state", path);
  }
  struct stat info {};
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_size != static_cast<off_t>(sizeof(SharedState))) {
    close(file);
    return invalid_argument("'" + path + "' is no live state of this version of strata");
  }
  void* memory = mmap(nullptr, sizeof(SharedState), PROT_READ, MAP_SHARED, file, 0);
  const int error = errno;
  close(file);
  if (memory == MAP_FAILED) {
    errno = error;
    return refused("cannot map the live state", path);
  }
  const auto& state = *static_cast<const SharedState*>(memory);
  Result<LiveSnapshot> result =
      invalid_argument("'" + path + "' is no live state of this version of strata");
  if (state.magic.load(std::memory_order_acquire) == kMagic) {
    result = failed_precondition("the live state at '" + path + "' is never at rest");
    std::array<uint64_t, kWords> words;
    for (int tries = 0; tries < kReadTries; ++tries) {
      const uint64_t before = state.sequence.load(std::memory_order_acquire);
      for (size_t i = 0; i < kWords; ++i) words[i] = state.words[i].load(std::memory_order_acquire);
      if (before % 2 != 0 || state.sequence.load(std::memory_order_relaxed) != before) continue;
      auto snapshot = strata::bit_cast<LiveSnapshot>(words);
      snapshot.level_count = std::clamp(snapshot.level_count, 0, LiveSnapshot::kLevels);
      result = snapshot;
      break;
    }
  }
  munmap(memory, sizeof(SharedState));
  return result;
}

std::vector<std::string> find_live_states(const std::string& folder) {
  std::vector<std::pair<int64_t, std::string>> found;
  DIR* entries = opendir(folder.c_str());
  if (entries == nullptr) return {};
  while (const dirent* entry = readdir(entries)) {
    const std::string_view name = entry->d_name;
    if (name.starts_with('.') || name.size() > kNameLength) continue;
    std::string path = folder + "/" + std::string(name);
    if (!has_writer(name)) {
      unlink(path.c_str());
      continue;
    }
    const Result<LiveSnapshot> state = read_live_state(path);
    if (state.ok()) found.emplace_back(state->started_ns, std::move(path));
  }
  closedir(entries);
  std::sort(found.begin(), found.end());
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (auto& [started, path] : found) paths.push_back(std::move(path));
  return paths;
}

}  // namespace strata::runtime
