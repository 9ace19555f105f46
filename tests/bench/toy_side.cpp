// SPDX-License-Identifier: Apache-2.0
//
// toy_side: a side that decides TOY_NUMBER and counts its units. Compiled twice: the names are the
// same in both objects, the code is not.
#include "ab/side.hpp"

#include <string>

namespace toy {

/// As an inline function has it: one for the whole process, unless the object keeps it local.
inline std::uint64_t& units_run() {
    static std::uint64_t units = 0;
    return units;
}
template <typename Number> struct Holder { static inline Number number = TOY_NUMBER; };
struct Decider {
    virtual ~Decider() = default;
    [[nodiscard]] virtual std::uint64_t decide() const { return TOY_NUMBER; }
};
/// Neither inlined nor local to this file.
[[gnu::noinline]] std::uint64_t decision() {
    return Holder<std::uint64_t>::number * 1'000 + Decider().decide();
}

} // namespace toy

std::uint32_t ab_version() {
#if defined(TOY_VERSION)
    return TOY_VERSION;
#else
    return kAbVersion;
#endif
}
void* ab_prepare(const AbLoad* load) {
    return load->items == 0 ? nullptr : new std::string("prepared");
}
std::uint64_t ab_run(void*, std::uint64_t units) {
    toy::units_run() += units;
    return toy::decision() * 1'000 + toy::units_run();
}
void ab_release(void* prepared) {
    delete static_cast<std::string*>(prepared);
}
