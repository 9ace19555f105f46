// SPDX-License-Identifier: Apache-2.0
//
// names: the header field and the method of a name.
//
// Cost:  one table slot is read for any name.
// Spec:  RFC 3261 §7.3.3 and §20 (names), RFC 3515, 3841, 3892, 4028, 6665, 8224 (their compact
//        forms).
#pragma once

#include "viaduct/sip/message.hpp"

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

static_assert([] {
    std::size_t ids = 1; // Other has no name
    for (std::size_t i = 0; i < kHeaderNames.size(); ++i)
        ids += i == 0 || kHeaderNames[i].id != kHeaderNames[i - 1].id ? 1 : 0;
    return ids == count_of<HeaderId>();
}());

/// The table slot of a name. Letter case does not matter: names start and end with letters.
constexpr std::size_t name_slot(char first, char last, std::size_t size) noexcept {
    // Found by trial: with these factors every known name has its own slot.
    const auto letter = [](char c) { return static_cast<std::size_t>(c) & 0x1f; };
    return (letter(first) * 5 + letter(last) + size * 9) % 256;
}
/// By slot: the only known name it may be. One comparison decides.
inline constexpr auto kNameAt = [] {
    std::array<std::uint8_t, 256> slots{};
    for (std::size_t i = 0; i < kHeaderNames.size(); ++i) {
        const std::string_view name = kHeaderNames[i].name;
        slots[name_slot(name.front(), name.back(), name.size())] = static_cast<std::uint8_t>(i);
    }
    return slots;
}();
static_assert([] {
    std::size_t found = 0;
    for (std::size_t i = 0; i < kHeaderNames.size(); ++i) {
        const std::string_view name = kHeaderNames[i].name;
        found += kNameAt[name_slot(name.front(), name.back(), name.size())] == i ? 1 : 0;
    }
    return found == kHeaderNames.size();
}());

/// A name and its colon as 16 bytes, compared at once.
struct FoldedHeader {
    alignas(16) std::array<char, 16> name{}; ///< in lower case, with the colon
    std::array<char, 16> fold{};             ///< 0x20 for each letter
    std::uint32_t bits = 1;                  ///< the bytes that must be equal
    HeaderId id = HeaderId::Other;
};
/// In the order of kHeaderNames. Longer names are looked up by header_named().
inline constexpr auto kFoldedHeaders = [] {
    std::array<FoldedHeader, kHeaderNames.size()> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::string_view name = kHeaderNames[i].name;
        FoldedHeader& header = all[i];
        if (name.size() >= header.name.size()) continue;
        for (std::size_t k = 0; k < name.size(); ++k) {
            header.name[k] = name[k];
            header.fold[k] = name[k] >= 'a' ? '\x20' : '\0';
        }
        header.name[name.size()] = ':';
        header.bits = (std::uint32_t{2} << name.size()) - 1;
        header.id = kHeaderNames[i].id;
    }
    return all;
}();

struct MethodRow {
    std::string_view name;
    Method method = Method::Other;
};
constexpr std::size_t method_slot(char first, std::size_t size) noexcept {
    return (static_cast<std::uint8_t>(first) + size * 11) % 32; // found by trial
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
static_assert(std::count_if(kMethods.begin(),
                            kMethods.end(),
                            [](const MethodRow& row) { return row.method != Method::Other; }) +
                  1 ==
              count_of<Method>());

} // namespace viaduct::sip_names
