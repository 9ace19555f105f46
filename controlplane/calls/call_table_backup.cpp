// SPDX-License-Identifier: Apache-2.0
#include "calls/call_table_backup.hpp"

#include "log.hpp"

#include "viaduct/error.hpp"
#include "viaduct/steering/steer.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace viaduct {

namespace {

constexpr std::array<char, 6> kMagic{'v', 'd', 'c', 'o', 'p', 'y'};
constexpr std::array<char, 2> kVersion{'3', '\n'};
constexpr std::size_t kPieceEntries = 16'384;
constexpr std::size_t kPieceBuckets = 65'536;
/// Pause between pieces, so that copying a large table uses only part of one processor.
constexpr std::chrono::milliseconds kRest{2};

struct Header {
    std::array<char, 6> magic;
    std::array<char, 2> version;
    std::uint64_t secret_fingerprint;
    std::uint64_t lineage;
    std::uint64_t words;
    std::int64_t unit_s;
    std::int64_t saved_ms; ///< wall clock, since 1970
    std::uint64_t now;     ///< CallTime at saved_ms
};
struct Entry {
    std::uint64_t place;
    std::uint64_t word;
};
struct Piece {
    std::uint64_t entries; ///< 0: end of the file
    std::uint64_t sum;     ///< over the header and all entries so far
};

template <typename T> std::string_view bytes_of(const T* first, std::size_t count) {
    return {reinterpret_cast<const char*>(first), count * sizeof(T)};
}

/// A chained checksum over all bytes added.
class Chain {
public:
    explicit Chain(const SteeringSecret& secret) : secret_(secret) {}
    std::uint64_t add(std::string_view bytes) {
        std::string text(bytes_of(&sum_, 1));
        text += bytes;
        return sum_ = hash_bytes(secret_, text);
    }

private:
    SteeringSecret secret_;
    std::uint64_t sum_ = 0;
};

/// Reads a file sequentially. Throws Error when the file ends early.
class Reader {
public:
    explicit Reader(const std::string& path)
        : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)), error_(fd_ < 0 ? errno : 0) {}
    ~Reader() {
        if (fd_ >= 0) close(fd_);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    [[nodiscard]] bool is_missing() const { return error_ == ENOENT; }
    template <typename T> void read(T* first, std::size_t count) {
        auto* to = reinterpret_cast<char*>(first);
        for (std::size_t left = count * sizeof(T); left > 0;) {
            const ssize_t got = ::read(fd_, to, left);
            if (got < 0) throw Error(std::string("cannot be read: ") + std::strerror(errno));
            if (got == 0) throw Error("truncated");
            to += got;
            left -= static_cast<std::size_t>(got);
        }
    }
    [[nodiscard]] bool is_at_end() {
        char more = 0;
        return ::read(fd_, &more, 1) == 0;
    }

private:
    int fd_;
    int error_;
};

std::uint64_t fingerprint(const SteeringSecret& secret) {
    return hash_bytes(secret, "copy of the calls");
}

std::int64_t milliseconds_of(CallTableBackup::WallTime wall) {
    return std::chrono::floor<std::chrono::milliseconds>(wall.time_since_epoch()).count();
}

} // namespace

CallTableBackup::CallTableBackup(const std::string& folder,
                                 const SteeringSecret& secret,
                                 std::uint64_t lineage,
                                 CallTableFile& store)
    : path_(folder + "/calls.copy"), secret_(secret), lineage_(lineage), store_(store) {}

void CallTableBackup::save(WallTime wall, std::chrono::milliseconds rest) const {
    const CallTable table = store_.table();
    NewFile file(path_);
    Chain chain(secret_);
    const Header header{kMagic,
                        kVersion,
                        fingerprint(secret_),
                        lineage_,
                        table.words(),
                        store_.unit().count(),
                        milliseconds_of(wall),
                        store_.now().value()};
    file.write(bytes_of(&header, 1));
    chain.add(bytes_of(&header, 1));
    std::vector<Entry> entries;
    const auto write_piece = [&] {
        const Piece piece{entries.size(), chain.add(bytes_of(entries.data(), entries.size()))};
        file.write(bytes_of(&piece, 1));
        file.write(bytes_of(entries.data(), entries.size()));
        entries.clear();
    };
    for (std::size_t first = 0; first < table.buckets(); first += kPieceBuckets) {
        table.copy(first, kPieceBuckets, [&](std::size_t place, std::uint64_t word) {
            entries.push_back({place, word});
            if (entries.size() == kPieceEntries) write_piece();
        });
        std::this_thread::sleep_for(rest);
    }
    if (!entries.empty()) write_piece();
    write_piece(); // end mark
    file.commit();
}

std::string CallTableBackup::load(WallTime wall) {
    CallTable table = store_.table();
    try {
        Reader file(path_);
        if (file.is_missing()) return {};
        Header header{};
        file.read(&header, 1);
        if (header.magic != kMagic) throw Error("not a call-table copy");
        if (header.version != kVersion) throw Error("written by another version");
        if (header.secret_fingerprint != fingerprint(secret_))
            throw Error("written with a different secret");
        if (header.lineage != lineage_) throw Error("its backend ids belong to another state file");
        if (header.words != table.words())
            throw Error("written with a different size (steering.calls)");
        if (header.unit_s != store_.unit().count())
            throw Error("written with a different call_lifetime");
        const std::int64_t age_ms =
            std::max<std::int64_t>(0, milliseconds_of(wall) - header.saved_ms);
        const std::int64_t age = age_ms / 1000 / header.unit_s;
        Chain chain(secret_);
        chain.add(bytes_of(&header, 1));
        std::vector<Entry> entries;
        for (;;) {
            Piece piece{};
            file.read(&piece, 1);
            if (piece.entries > kPieceEntries) throw Error("damaged");
            entries.resize(piece.entries);
            file.read(entries.data(), entries.size());
            if (piece.sum != chain.add(bytes_of(entries.data(), entries.size())))
                throw Error("damaged");
            if (entries.empty()) break;
            for (const Entry& entry : entries)
                table.put_back(entry.place, entry.word, CallTime(header.now), store_.now(), age);
        }
        if (!file.is_at_end()) throw Error("damaged");
        return {};
    } catch (const Error& error) {
        table.clear();
        return error.what();
    }
}

void CallTableBackup::tick(TimePoint now) {
    if (next_ == TimePoint{}) next_ = now + kBetween;
    if (now < next_ || errand_.is_busy()) return;
    next_ = now + kBetween;
    complain(errand_.complaint());
    errand_.give([this] { save(std::chrono::system_clock::now(), kRest); });
}

void CallTableBackup::end() {
    errand_.finish();
    try {
        save();
    } catch (const Error& error) {
        complain(error.what());
    }
}

/// Logs the same complaint only once in a row.
void CallTableBackup::complain(const std::string& complaint) {
    if (std::exchange(complaint_, complaint) == complaint || complaint.empty()) return;
    spdlog::warn("{}; calls in progress will not survive a reboot", complaint);
}

} // namespace viaduct
