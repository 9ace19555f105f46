// SPDX-License-Identifier: Apache-2.0
#include "viaduct/keys.hpp"

#include "sip_text.hpp"

#include "viaduct/sip_message.hpp"
#include "viaduct/steer.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace viaduct {

namespace {

/// user@host: escapes decoded in the user, the host in lower case; of a URI without host the number
/// or all behind the scheme. What is longer is cut: two long ones may share a backend.
class Address {
public:
    explicit Address(std::string_view uri_text) noexcept {
        const Uri uri = read_uri(uri_text);
        if (!uri.readable()) return;
        const std::string_view host = uri.host().text;
        if (uri.user())
            add_decoded(*uri.user());
        else if (host.empty())
            add_decoded(uri.rest());
        add('@');
        for (const char c : host)
            add(sip_text::lower(c));
        good_ = true;
    }
    /// Empty: the URI is unreadable.
    [[nodiscard]] std::string_view text() const noexcept {
        return good_ ? std::string_view{text_.data(), size_} : std::string_view{};
    }

private:
    void add(char c) noexcept {
        if (size_ < text_.size()) text_[size_++] = c;
    }
    void add_decoded(std::string_view text) noexcept {
        for (std::size_t i = 0; i < text.size(); ++i) {
            const int high = i + 2 < text.size() ? value_of(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? value_of(text[i + 2]) : -1;
            if (text[i] == '%' && high >= 0 && low >= 0) {
                add(static_cast<char>(high * 16 + low));
                i += 2;
            } else {
                add(text[i]);
            }
        }
    }
    static int value_of(char digit) noexcept {
        if (sip_text::is_digit(digit)) return digit - '0';
        const char letter = sip_text::lower(digit);
        return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
    }

    std::array<char, 512> text_; // not initialised: the first `size_` are valid
    std::size_t size_ = 0;
    bool good_ = false;
};

std::optional<std::uint64_t> hash_unless_empty(const KeyRule& rule, std::string_view key) noexcept {
    if (key.empty()) return std::nullopt;
    return hash_key(rule.prefix, key);
}

std::optional<std::uint64_t> hash_of_address(const KeyRule& rule,
                                             const std::optional<NameAddr>& address) noexcept {
    if (!address) return std::nullopt;
    return hash_unless_empty(rule, Address(address->uri()).text());
}

/// Four characters as a number, letters in lower case, the first one lowest.
std::uint32_t folded_word(const char* at) noexcept {
    std::uint32_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap32(word);
    return word | 0x2020'2020U;
}
constexpr std::uint32_t word_of(std::string_view chars) noexcept {
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 4; ++i)
        word |= std::uint32_t{static_cast<std::uint8_t>(chars[i])} << (8 * i);
    return word;
}

} // namespace

std::optional<std::uint64_t> key_hash(const KeyRule& rule, const Arrival& arrival) noexcept {
    if (rule.type == KeyType::CallId) return std::nullopt;
    if (rule.type == KeyType::Source) {
        const std::uint32_t address = arrival.source.value;
        if (address == 0) return std::nullopt; // nobody knows it
        std::array<char, 4> bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<char>(address >> (8 * i) & 0xff);
        return hash_key(rule.prefix, {bytes.data(), bytes.size()});
    }
    if (arrival.payload.empty()) return std::nullopt;
    const SipMessage message(arrival.payload);
    switch (rule.type) {
    case KeyType::Aor:
        return hash_of_address(rule, message.to());
    case KeyType::From:
        return hash_of_address(rule, message.from());
    case KeyType::RequestUriUser: {
        const Uri uri = read_uri(message.request_uri());
        return hash_unless_empty(rule, uri.user().value_or(std::string_view{}));
    }
    case KeyType::Header: {
        const auto field = message.first(rule.header);
        return hash_unless_empty(rule, field ? field->value : std::string_view{});
    }
    case KeyType::CallId:
    case KeyType::Source:
    case KeyType::Transaction:
        break;
    }
    return std::nullopt;
}

bool may_name_call(std::span<const std::byte> payload) noexcept {
    const char* const text = reinterpret_cast<const char*>(payload.data());
    const std::size_t size = payload.size();
    std::size_t at = 0;
    while (at < size && (text[at] == '\r' || text[at] == '\n'))
        [[unlikely]]++ at;
    if (size - at < 16) return false;
    const std::uint32_t method = folded_word(text + at);
    if (method != word_of("invi") && method != word_of("refe") && method != word_of("subs"))
        return false;
    const std::string_view all(text, size);
    for (at = sip_text::LineFeeds::find(all, at); at + 4 < size;
         at = sip_text::LineFeeds::find(all, at + 1)) {
        const std::uint32_t word = folded_word(text + at + 1);
        if (word == word_of("repl") || word == word_of("join") || word == word_of("targ"))
            return true;
    }
    return false;
}

std::uint32_t asked_seconds(std::span<const std::byte> payload) noexcept {
    constexpr std::uint32_t kUsual = 3600;
    const SipMessage message(payload);
    std::optional<std::uint32_t> longest;
    for (const std::string_view contact : message.values(HeaderId::Contact)) {
        const Number asked =
            read_number(read_name_addr(contact).parameters().find_token("expires"));
        if (asked.has_value()) longest = std::max(longest.value_or(0), asked.value);
    }
    if (longest) return *longest;
    const Number expires = message.expires();
    return expires.has_value() ? expires.value : kUsual;
}

std::string_view named_call(std::span<const std::byte> payload) noexcept {
    const SipMessage message(payload);
    for (const auto& reference : {message.replaces(), message.join(), message.target_dialog()})
        if (reference && !reference->call_id.empty()) return reference->call_id;
    return {};
}

} // namespace viaduct
