// SPDX-License-Identifier: Apache-2.0
#include "calls/call_table_file.hpp"

#include "viaduct/dataplane.hpp"
#include "viaduct/error.hpp"

#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <span>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace viaduct {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::array<char, 8> kMagic{'v', 'd', 'c', 'a', 'l', 'l', 's', '\n'};
constexpr std::uint32_t kLayout = 5;

/// Returns an id that changes with every boot, because the clock that dates calls restarts then.
std::array<char, 40> boot_id() {
    std::array<char, 40> id{};
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return id;
    const ssize_t got = read(fd, id.data(), id.size() - 1);
    close(fd);
    if (got <= 0) id.fill('\0');
    return id;
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
    throw Error("cannot " + what + " the call table " + path + ": " + std::strerror(errno));
}

} // namespace

struct CallTableFile::Header {
    std::array<char, 8> magic;
    std::uint32_t layout;
    std::uint32_t unit_s;
    std::uint64_t words;
    std::uint64_t secret_fingerprint;
    std::array<char, 40> boot;
    std::uint64_t lineage;
    std::uint64_t seen_s; ///< BOOTTIME of the last tick
};

std::size_t CallTableFile::words_for(std::size_t calls) noexcept {
    return std::max(CallTable::kMinWords, std::bit_ceil(calls + calls * 3 / 5));
}

std::string CallTableFile::check(const Header& header, const Shape& shape) const {
    if (header.magic != kMagic) return "not a call table";
    if (header.layout != kLayout) return "written by another version";
    if (header.secret_fingerprint != shape.secret_fingerprint)
        return "written with a different secret";
    if (header.boot != boot_id()) return "written before the last boot";
    if (header.lineage != shape.lineage) return "its backend ids belong to another state file";
    if (header.words != shape.words) return "written with a different size (steering.calls)";
    if (header.unit_s != static_cast<std::uint32_t>(shape.unit.count()))
        return "written with a different call_lifetime";
    return {};
}

CallTableFile::CallTableFile(const std::string& path, const Shape& shape)
    : unit_(shape.unit), bytes_(kPage + shape.words * sizeof(CallTable::Word)) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path.c_str(), kFlags, 0600);
    if (fd < 0) fail(path, "open");
    struct stat status {};
    Header header{};
    const bool there = fstat(fd, &status) == 0 && status.st_size > 0;
    if (there) {
        if (pread(fd, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)))
            refusal_ = "truncated";
        else
            refusal_ = check(header, shape);
        if (refusal_.empty() && static_cast<std::size_t>(status.st_size) != bytes_)
            refusal_ = "truncated";
    }
    was_kept_ = there && refusal_.empty();
    const auto size = static_cast<off_t>(bytes_);
    if (!refusal_.empty()) { // not truncated: that would kill a process that maps it
        close(fd);
        fd = unlink(path.c_str()) == 0 ? open(path.c_str(), kFlags | O_EXCL, 0600) : -1;
        if (fd < 0) fail(path, "replace");
    }
    // A new table is all zeros, without writing them.
    if (!was_kept_ && ftruncate(fd, size) != 0) {
        close(fd);
        fail(path, "make");
    }
    // Allocate everything now and report failure: a page missing later would kill the process of a
    // worker.
    if (const int error = posix_fallocate(fd, 0, size); error != 0) {
        if (!was_kept_) unlink(path.c_str());
        close(fd);
        errno = error;
        fail(path, "allocate space for");
    }
    memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory_ == MAP_FAILED) fail(path, "map");
    if (!was_kept_) {
        header = {kMagic,
                  kLayout,
                  static_cast<std::uint32_t>(shape.unit.count()),
                  shape.words,
                  shape.secret_fingerprint,
                  boot_id(),
                  shape.lineage,
                  0};
        std::memcpy(memory_, &header, sizeof(header));
    }
    auto* const words =
        reinterpret_cast<CallTable::Word*>(static_cast<std::byte*>(memory_) + kPage);
    table_ = CallTable(std::span(words, shape.words));
    if (was_kept_) table_.forget_unfinished();
}

CallTableFile::~CallTableFile() {
    munmap(memory_, bytes_);
}

namespace {

std::uint64_t boot_seconds() {
    timespec time{};
    clock_gettime(CLOCK_BOOTTIME, &time);
    return static_cast<std::uint64_t>(time.tv_sec);
}

} // namespace

CallTime CallTableFile::now() const {
    return CallTime(boot_seconds() / static_cast<std::uint64_t>(unit_.count()));
}

CallTime CallTableFile::tick() {
    return tick(boot_seconds());
}

bool CallTableFile::is_all_past(std::uint64_t units_before, std::uint64_t units_now) noexcept {
    constexpr std::uint64_t kSwept = 20; // units after which all expired calls are swept
    return units_now > units_before && units_now - units_before > CallTime::kMaxAhead - kSwept;
}

CallTime CallTableFile::tick(std::uint64_t seconds) {
    auto* const header = static_cast<Header*>(memory_);
    const auto unit = static_cast<std::uint64_t>(unit_.count());
    const std::uint64_t before = std::exchange(header->seen_s, seconds);
    // Deadlines wrap around: calls that expired this long ago would seem in progress again.
    if (before != 0 && is_all_past(before / unit, seconds / unit)) table_.clear();
    return CallTime(seconds / unit);
}

} // namespace viaduct
