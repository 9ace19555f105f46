// SPDX-License-Identifier: Apache-2.0
#include "registration.hpp"

#include "viaduct/sip_message.hpp"

#include <algorithm>
#include <string_view>

namespace viaduct {

namespace {

/// What registrars take where a REGISTER says nothing, or nothing readable (RFC 3261 §10.2.1.1).
constexpr std::uint32_t kUsualSeconds = 3600;

/// Of its URI.
std::uint8_t contact_of(std::string_view uri) noexcept {
    std::uint64_t sum = 0xcbf29ce484222325U;
    for (const char c : uri)
        sum = (sum ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
    return static_cast<std::uint8_t>(1 +
                                     (sum * 0x9e3779b97f4a7c15U >> 40) % Registration::kContacts);
}

std::uint8_t only_contact(const Call& call) noexcept {
    const bool is_second = is_confirmed(call) && call.dialog != Call::kSeveralDialogs;
    return is_second ? static_cast<std::uint8_t>(call.dialog - Registration::kContacts)
                     : call.dialog;
}

} // namespace

Registration read_registration(std::span<const std::byte> payload) noexcept {
    Registration read;
    const SipMessage message(payload);
    const Number usual = message.expires();
    std::uint8_t removed = 0;
    const auto add = [](std::uint8_t& to, std::uint8_t contact) {
        to = to == 0 || to == contact ? contact : Call::kSeveralDialogs;
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
                                                          : kUsualSeconds;
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
                       Call& call) noexcept {
    using Asks = Registration::Asks;
    const int left = fresh ? 0 : std::max(0, call.deadline.left(now));
    const int over = std::min<int>(lifetimes.silence, lifetimes.transaction + 1);
    const auto set = [&](int units) {
        call.deadline = now.after(static_cast<std::uint16_t>(units));
    };
    if (fresh) {
        call.state = CallState::Lasting;
        call.dialog = 0;
    }
    const std::uint8_t known = only_contact(call);
    switch (registration.asks) {
    case Asks::Nothing:
        return;
    case Asks::ToBind: {
        const std::uint32_t unit = lifetimes.unit_seconds;
        const int asked =
            unit == 0
                ? lifetimes.silence
                : static_cast<int>(std::min<std::uint32_t>(
                      lifetimes.silence, registration.seconds / unit + 1 + lifetimes.transaction));
        if (known == 0)
            call.dialog = registration.contact;
        else if (known != registration.contact || known == Call::kSeveralDialogs)
            call.dialog = Call::kSeveralDialogs;
        else
            call.dialog = static_cast<std::uint8_t>(known + Registration::kContacts);
        set(call.dialog == Call::kSeveralDialogs ? std::max(asked, left) : asked);
        return;
    }
    case Asks::ToRemove: // others may be left
        if (known == Call::kSeveralDialogs || known != registration.contact) return;
        [[fallthrough]];
    case Asks::ToRemoveAll: // what repeats that is still to be sent there
        set(fresh ? over : std::min(left, over));
        call.dialog = 0;
        return;
    }
}

} // namespace viaduct
