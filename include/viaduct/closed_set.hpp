// SPDX-License-Identifier: Apache-2.0
//
// closed_set: counts the enumerators of an enum, so that a table over them cannot miss one.
//
// How:   the compiler prints a value without a name as a cast. No sentinel enumerator is needed,
//        which every switch would have to name.
// Cost:  none at run time.
#pragma once

#include <cstddef>
#include <string_view>

namespace viaduct {

template <auto Value> [[nodiscard]] consteval bool is_enumerator() {
    constexpr std::string_view kName = "Value = ";
    constexpr std::string_view kThis = __PRETTY_FUNCTION__;
    return kThis[kThis.find(kName) + kName.size()] != '(';
}

/// The number of consecutive enumerators of `Enum` from `First` on.
template <typename Enum, std::size_t First = 0> [[nodiscard]] consteval std::size_t count_of() {
    if constexpr (is_enumerator<static_cast<Enum>(First)>())
        return 1 + count_of<Enum, First + 1>();
    else
        return 0;
}

/// Whether `rows`, indexed by the enum of `member`, has one row for each enumerator, in order.
template <typename Rows, typename Row, typename Enum>
[[nodiscard]] consteval bool rows_in_order(const Rows& rows, Enum Row::*member) {
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (static_cast<std::size_t>(rows[i].*member) != i) return false;
    return rows.size() == count_of<Enum>();
}

/// Whether `names`, indexed by `Enum`, has a name for each enumerator.
template <typename Enum, typename Names>
[[nodiscard]] consteval bool names_all(const Names& names) {
    for (const std::string_view name : names)
        if (name.empty()) return false;
    return names.size() == count_of<Enum>();
}

} // namespace viaduct
