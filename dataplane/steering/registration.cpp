// SPDX-License-Identifier: Apache-2.0
#include "steering/registration.hpp"

#include "viaduct/sip/message.hpp"
#include "viaduct/steering/keys.hpp"

#include <algorithm>
#include <string_view>

namespace viaduct {

namespace {

/// The mark of a contact, from its URI.
std::uint8_t contact_of(std::string_view uri) noexcept {
    std::uint64_t sum = 0xcbf29ce484222325U;
    for (const char c : uri)
        sum = (sum ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
    return static_cast<std::uint8_t>(1 + (sum * 0x9e3779b97f4a7c15U >> 40) %
                                             (Registration::kSeveralContacts - 1));
}

std::uint8_t contacts_of(const Call& call) noexcept {
    return is_confirmed(call) ? static_cast<std::uint8_t>(call.dialog - Registration::kContacts)
                              : call.dialog;
}

} // namespace

Registration read_registration(std::span<const std::byte> payload) noexcept {
    Registration read;
    const SipMessage message(payload);
    const Number usual = message.expires();
    std::uint8_t removed = 0;
    const auto add = [](std::uint8_t& to, std::uint8_t contact) {
        to = to == 0 || to == contact ? contact : Registration::kSeveralContacts;
    };
    for (const std::string_view value : message.values(HeaderId::Contact)) {
        const NameAddr contact = read_name_addr(value);
        if (contact.is_star()) {
            read.asks = Registration::Asks::ToRemoveAll;
            return read;
        }
        const Number own = read_number(contact.parameters().find_token("expires"));
        const std::uint32_t seconds = own.has_value()     ? own.value
                                      : usual.has_value() ? usual.value
                                                          : kUsualExpires;
        add(seconds == 0 ? removed : read.contact, contact_of(contact.uri()));
        read.seconds = std::max(read.seconds, seconds);
    }
    if (read.contact != 0) {
        read.asks = Registration::Asks::ToBind;
    } else if (removed != 0) {
        read.asks = Registration::Asks::ToRemove;
        read.contact = removed;
    }
    return read;
}

void take_registration(const Registration& registration,
                       const CallLifetimes& lifetimes,
                       CallTime now,
                       bool fresh,
                       bool is_heard,
                       Call& call) noexcept {
    using Asks = Registration::Asks;
    const int left = fresh ? 0 : std::max(0, call.deadline.left(now));
    const int over = lifetimes.once();
    const auto set = [&](int units) {
        call.deadline = now.after(static_cast<std::uint16_t>(units));
    };
    if (fresh) {
        call.state = CallState::SoftState;
        call.dialog = 0;
    }
    const std::uint8_t known = contacts_of(call);
    switch (registration.asks) {
    case Asks::Nothing:
        return;
    case Asks::ToBind: {
        const int asked = is_heard ? over : lifetimes.of_seconds(registration.seconds);
        // Later than requests are repeated: a forged request that is sent twice confirms nothing.
        const bool comes_back =
            call.state == CallState::SoftState && known != 0 && asked - left > over;
        const bool confirmed = is_confirmed(call) || comes_back;
        const std::uint8_t contacts = known == 0 || known == registration.contact
                                          ? registration.contact
                                          : Registration::kSeveralContacts;
        call.state = CallState::SoftState;
        call.dialog =
            static_cast<std::uint8_t>(contacts + (confirmed ? Registration::kContacts : 0));
        const bool keeps = confirmed || contacts == Registration::kSeveralContacts;
        set(keeps ? std::max(asked, left) : asked);
        return;
    }
    // Any client can ask for removal, so it takes nothing from a confirmed registration; keeping
    // one too long does no harm.
    case Asks::ToRemove: // other contacts may remain
        if (known == Registration::kSeveralContacts || known != registration.contact) return;
        [[fallthrough]];
    case Asks::ToRemoveAll: // retransmissions must still go there
        if (is_confirmed(call)) return;
        set(fresh ? over : std::min(left, over));
        call.dialog = 0;
        return;
    }
}

void take_registrars_answer(std::uint16_t status,
                            std::span<const std::byte> payload,
                            const CallLifetimes& lifetimes,
                            CallTime now,
                            Call& call) noexcept {
    const int left = std::max(0, call.deadline.left(now));
    const auto set = [&](int units) {
        call.deadline = now.after(static_cast<std::uint16_t>(units));
    };
    if (call.state != CallState::SoftState || call.dialog == 0) return;
    if (status < 300) { // lists all bindings (§10.3), with the seconds that the registrar chose
        const int granted = lifetimes.of_seconds(granted_seconds(payload).value_or(kUsualExpires));
        set(std::max(left, granted));
        if (!is_confirmed(call))
            call.dialog = static_cast<std::uint8_t>(call.dialog + Registration::kContacts);
        return;
    }
    if (is_confirmed(call)) return;
    set(std::min<int>(left, lifetimes.once())); // the next attempt counts as the first
    call.state = CallState::Refused;
    call.dialog = 0;
}

} // namespace viaduct
