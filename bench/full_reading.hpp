// SPDX-License-Identifier: Apache-2.0
//
// full_reading: one message asked for all that policy and proxy mode may want of it.
#pragma once

#include "viaduct/sip/message.hpp"

#include <cstddef>
#include <span>

namespace viaduct::test {

/// Every Via, route and contact with its URI and parameters, From, To, the request URI, all
/// numbers, lists of option tags, and the body. Gives a number that depends on all of it.
[[nodiscard]] inline std::size_t read_fully(std::span<const std::byte> payload) {
    const SipMessage message(payload);
    std::size_t sum = message.call_id().size() + message.status() + message.body().bytes.size();
    const auto add_uri = [&sum](std::string_view text) {
        const Uri uri = read_uri(text);
        sum += uri.host().text.size() + uri.port().value + uri.user().value_or("").size();
        for (const Parameter& parameter : uri.parameters())
            sum += parameter.name.size() + parameter.value.size();
    };
    const auto add_address = [&](const NameAddr& address) {
        sum += address.display_name().size();
        add_uri(address.uri());
        for (const Parameter& parameter : address.parameters())
            sum += parameter.name.size() + parameter.value.size();
    };
    if (!message.request_uri().empty()) add_uri(message.request_uri());
    if (const auto from = message.from()) add_address(*from);
    if (const auto to = message.to()) add_address(*to);
    for (const std::string_view value : message.values(HeaderId::Via)) {
        const Via via = read_via(value);
        sum += via.host().text.size() + via.port().value + via.branch().size() + via.rport().value +
               via.received().size() + via.maddr().size() + via.ttl().value +
               via.transport().size();
    }
    for (const HeaderId id : {HeaderId::Route, HeaderId::RecordRoute, HeaderId::Contact})
        for (const std::string_view value : message.values(id))
            add_address(read_name_addr(value));
    for (const HeaderId id : {HeaderId::Require, HeaderId::ProxyRequire, HeaderId::Supported})
        for (const std::string_view value : message.values(id))
            sum += value.size();
    for (const Number number :
         {message.max_forwards(), message.content_length(), message.expires()})
        sum += number.value;
    if (const auto cseq = message.cseq()) sum += cseq->number;
    if (const auto agent = message.first(HeaderId::UserAgent)) sum += agent->value.size();
    for (const auto& reference : {message.replaces(), message.join(), message.target_dialog()})
        if (reference) sum += reference->call_id.size() + reference->local_tag.size();
    return sum;
}

} // namespace viaduct::test
