// SPDX-License-Identifier: Apache-2.0
//
// call_table_file: the memory of the table of calls.
//
// The table is in a file that all processes map: it stays when viaductd is killed, and the next
// viaductd continues with it. A file that is damaged, or written with other settings, another
// secret or before the last boot, is not used; the balancer then starts with an empty table and
// logs one line.
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
        std::uint64_t lineage = 0; ///< of the state file that defines the backend ids
    };
    /// Returns the number of words of the smallest table with enough room for `calls`.
    [[nodiscard]] static std::size_t words_for(std::size_t calls) noexcept;

    /// Maps `path` if it fits, otherwise a new file. Throws Error when that fails.
    CallTableFile(const std::string& path, const Shape& shape);
    ~CallTableFile(); ///< the file stays
    CallTableFile(const CallTableFile&) = delete;
    CallTableFile& operator=(const CallTableFile&) = delete;

    [[nodiscard]] CallTable table() const noexcept { return table_; }
    /// Whether the table holds what another process remembered.
    [[nodiscard]] bool was_kept() const noexcept { return was_kept_; }
    /// Why an existing file is not used; empty: it is used, or there was none.
    [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
    /// Returns the current time, by a clock that only a boot sets back.
    [[nodiscard]] CallTime now() const;
    /// Returns the current time; the control thread calls it regularly. Forgets all calls when the
    /// last tick was so long ago (machine suspended, viaductd not running) that deadlines have
    /// wrapped around: they have all passed.
    CallTime tick();
    CallTime tick(std::uint64_t boot_seconds); ///< with a given time
    /// Whether enough units have passed for deadlines to wrap around.
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
