// SPDX-License-Identifier: Apache-2.0
//
// call_table_file: the memory behind the table of calls, and what the control plane does with it.
//
// The table lies in a file that is mapped by all: when viaductd is killed it stays, and the next
// one goes on with it. A file that is damaged, or of other settings, another secret or another
// boot, is not used; the balancer begins without it and says so in one line.
//
//   page 0   magic, layout version, unit, words, secret's fingerprint, boot id, lineage   (Header)
//   page 1   the words of CallTable
#pragma once

#include "viaduct/snapshot.hpp"
#include "viaduct/steering/call_table.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace viaduct {

class CallTableFile {
public:
    struct Shape {
        std::size_t words = std::size_t{1} << 21;
        std::chrono::seconds unit{15};
        std::uint64_t secret_fingerprint = 0;
        std::uint64_t lineage = 0; ///< of the state file that says what backend ids mean
    };
    /// The smallest table in which `calls` leave enough room.
    [[nodiscard]] static std::size_t words_for(std::size_t calls) noexcept;

    /// Maps `path`, as it is if it fits, else anew. Throws Error when it cannot be made.
    CallTableFile(const std::string& path, const Shape& shape);
    ~CallTableFile(); ///< the file stays
    CallTableFile(const CallTableFile&) = delete;
    CallTableFile& operator=(const CallTableFile&) = delete;

    [[nodiscard]] CallTable table() const noexcept { return table_; }
    /// Whether what another process had remembered is there.
    [[nodiscard]] bool was_kept() const noexcept { return was_kept_; }
    /// Why a file that was there is not used; empty: it is, or there was none.
    [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
    /// The present, by a clock that only a boot sets back.
    [[nodiscard]] CallTime now() const;
    /// Control, again and again: the present. When the last time was so long ago (this machine
    /// slept, or nobody ran) that deadlines have wrapped around, all calls are forgotten: theirs
    /// have passed.
    CallTime tick();
    CallTime tick(std::uint64_t boot_seconds); ///< the same at another time
    /// Whether so many units have passed that deadlines have wrapped around.
    [[nodiscard]] static bool is_all_past(std::uint64_t units_before,
                                          std::uint64_t units_now) noexcept;
    [[nodiscard]] std::chrono::seconds unit() const noexcept { return unit_; }

private:
    struct Header;
    [[nodiscard]] std::string check(const Header& header, const Shape& shape) const;

    std::chrono::seconds unit_;
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
    CallTable table_;
    bool was_kept_ = false;
    std::string refusal_;
};

} // namespace viaduct
