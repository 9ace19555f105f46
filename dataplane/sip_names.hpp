// SPDX-License-Identifier: Apache-2.0
//
// sip_names: which header field and which method a name stands for.
//
// Cost:  one slot of a table is looked at, whatever the name.
// Spec:  RFC 3261 §7.3.3 and §20 (names), RFC 3515, 3841, 3892, 4028, 6665, 8224 (their compact
//        forms).
#pragma once

#include "viaduct/sip_message.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace viaduct::sip_names {

struct NameRow {
    HeaderId id;
    std::string_view name; ///< in lower case
};
inline constexpr std::array kHeaderNames = std::to_array<NameRow>({
    {HeaderId::AcceptContact, "accept-contact"},
    {HeaderId::AcceptContact, "a"},
    {HeaderId::AllowEvents, "allow-events"},
    {HeaderId::AllowEvents, "u"},
    {HeaderId::CSeq, "cseq"},
    {HeaderId::CallId, "call-id"},
    {HeaderId::CallId, "i"},
    {HeaderId::Contact, "contact"},
    {HeaderId::Contact, "m"},
    {HeaderId::ContentEncoding, "content-encoding"},
    {HeaderId::ContentEncoding, "e"},
    {HeaderId::ContentLength, "content-length"},
    {HeaderId::ContentLength, "l"},
    {HeaderId::ContentType, "content-type"},
    {HeaderId::ContentType, "c"},
    {HeaderId::Event, "event"},
    {HeaderId::Event, "o"},
    {HeaderId::Expires, "expires"},
    {HeaderId::From, "from"},
    {HeaderId::From, "f"},
    {HeaderId::Identity, "identity"},
    {HeaderId::Identity, "y"},
    {HeaderId::Join, "join"},
    {HeaderId::MaxForwards, "max-forwards"},
    {HeaderId::ProxyRequire, "proxy-require"},
    {HeaderId::RecordRoute, "record-route"},
    {HeaderId::ReferTo, "refer-to"},
    {HeaderId::ReferTo, "r"},
    {HeaderId::ReferredBy, "referred-by"},
    {HeaderId::ReferredBy, "b"},
    {HeaderId::RejectContact, "reject-contact"},
    {HeaderId::RejectContact, "j"},
    {HeaderId::Replaces, "replaces"},
    {HeaderId::RequestDisposition, "request-disposition"},
    {HeaderId::RequestDisposition, "d"},
    {HeaderId::Require, "require"},
    {HeaderId::Route, "route"},
    {HeaderId::SessionExpires, "session-expires"},
    {HeaderId::SessionExpires, "x"},
    {HeaderId::Subject, "subject"},
    {HeaderId::Subject, "s"},
    {HeaderId::Supported, "supported"},
    {HeaderId::Supported, "k"},
    {HeaderId::TargetDialog, "target-dialog"},
    {HeaderId::To, "to"},
    {HeaderId::To, "t"},
    {HeaderId::UserAgent, "user-agent"},
    {HeaderId::Via, "via"},
    {HeaderId::Via, "v"},
});

/// A known name in its slot: no two share one, so that one comparison decides.
struct alignas(32) NameSlot {
    std::array<char, 30> name{}; ///< padded with zero bytes; the first 16 are compared at once
    std::uint8_t size = 0;       ///< 0: nobody's slot
    HeaderId id = HeaderId::Other;
};
constexpr std::size_t slot_of(char first, char last, std::size_t size) noexcept {
    // Found by trial: these factors give every known name its own slot.
    const auto low = [](char c) { return static_cast<std::size_t>(c | 0x20) & 0xff; };
    return (low(first) * 7 + low(last) * 19 + size * 30) % 128;
}
inline constexpr auto kNameSlots = [] {
    std::array<NameSlot, 128> slots{};
    for (const NameRow& row : kHeaderNames) {
        NameSlot& slot = slots[slot_of(row.name.front(), row.name.back(), row.name.size())];
        slot.size = static_cast<std::uint8_t>(row.name.size());
        slot.id = row.id;
        std::copy(row.name.begin(), row.name.end(), slot.name.begin());
    }
    return slots;
}();
static_assert(std::count_if(kNameSlots.begin(), kNameSlots.end(), [](const NameSlot& slot) {
                  return slot.size != 0;
              }) == std::ssize(kHeaderNames));

struct MethodRow {
    std::string_view name;
    Method method = Method::Other;
};
constexpr std::size_t method_slot(char first, std::size_t size) noexcept {
    return (static_cast<std::uint8_t>(first) + size * 11) % 32; // found by trial, too
}
inline constexpr auto kMethods = [] {
    constexpr std::array kRows = std::to_array<MethodRow>({{"INVITE", Method::Invite},
                                                           {"ACK", Method::Ack},
                                                           {"BYE", Method::Bye},
                                                           {"CANCEL", Method::Cancel},
                                                           {"REGISTER", Method::Register},
                                                           {"OPTIONS", Method::Options},
                                                           {"PRACK", Method::Prack},
                                                           {"SUBSCRIBE", Method::Subscribe},
                                                           {"NOTIFY", Method::Notify},
                                                           {"PUBLISH", Method::Publish},
                                                           {"INFO", Method::Info},
                                                           {"REFER", Method::Refer},
                                                           {"MESSAGE", Method::Message},
                                                           {"UPDATE", Method::Update}});
    std::array<MethodRow, 32> slots{};
    for (const MethodRow& row : kRows)
        slots[method_slot(row.name.front(), row.name.size())] = row;
    return slots;
}();
static_assert(std::count_if(kMethods.begin(), kMethods.end(), [](const MethodRow& row) {
                  return row.method != Method::Other;
              }) == static_cast<int>(Method::Update));

} // namespace viaduct::sip_names
