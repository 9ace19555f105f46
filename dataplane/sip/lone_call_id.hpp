// SPDX-License-Identifier: Apache-2.0
//
// lone_call_id: takes the only Call-ID of an ordinary message: all that a pool needs that steers by
// hash.
//
// In:    the lines that ScanOps::call_id_lines has found.
// Cost:  some 60 instructions. A message that is not ordinary costs them in addition to its usual
//        reading.
//
// Only one translation unit includes it, so that it is inlined.
#pragma once

#include "sip/header_values.hpp"
#include "sip/scan.hpp"
#include "sip/text.hpp"
#include "sip/words.hpp"

#include "viaduct/sip/digest.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace viaduct::lone_call_id {

using namespace sip_text;
using namespace sip_words;
using header_values::HeaderValues;

/// Takes the only Call-ID among the scanned lines, and whether one of them may reference a call.
/// False: a Call-ID is absent, given twice, or has blanks before its colon, and the usual reading
/// has to decide. The list then has no references left.
inline bool take_call_id(const ScanOps& ops,
                         std::string_view text,
                         LineList& list,
                         SipDigest& digest) noexcept {
    constexpr FoldedName kLong("call-id:");
    std::size_t value_at = 0;
    bool is_odd = !list.done || list.too_many_lines;
    for (std::size_t i = 0; i < list.count; ++i)
        for (std::uint64_t bits = list.line_feeds[i]; bits != 0; bits &= bits - 1) {
            const std::size_t start =
                list.bases[i] + 1 + static_cast<std::size_t>(std::countr_zero(bits));
            const std::uint64_t word = word_at(text, start);
            const bool is_long = kLong.begins(word);
            const bool is_compact = (word & 0xffdfU) == ('I' | ':' << 8U);
            if (is_long || is_compact) [[likely]] {
                is_odd |= value_at != 0;
                value_at = start + (is_long ? kLong.length : 2);
            } else if ((word & 0xdfU) == 'C' || (word & 0xdfU) == 'I') {
                const auto after = static_cast<char>(word >> ((word & 0xdfU) == 'C' ? 56U : 8U));
                is_odd |= is_blank(after);
            } else {
                list.may_reference_call |= may_be_reference(word);
                list.line_feeds[i] &= ~(bits & (0 - bits));
            }
        }
    if (is_odd || value_at == 0) return false;
    digest.kind = PayloadKind::Unread;
    digest.call_id = HeaderValues(ops, text).value(value_at);
    digest.may_reference_call = list.may_reference_call;
    return true;
}

} // namespace viaduct::lone_call_id
