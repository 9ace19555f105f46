// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steering/keys.hpp"

#include "sip/text.hpp"
#include "sip/words.hpp"

#include "viaduct/sip/message.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace viaduct {

namespace {

/// The text of a key as it is hashed. Longer texts are cut: two long keys may share a backend.
class KeyText {
public:
    [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), size_}; }

    void add(char c) noexcept {
        if (size_ < text_.size()) text_[size_++] = c;
    }
    void add(std::string_view text) noexcept {
        for (const char c : text)
            add(c);
    }
    void add_lower(std::string_view text) noexcept {
        for (const char c : text)
            add(sip_text::lower(c));
    }
    /// Decodes the escapes of all characters: RFC 3261 §19.1.4 distinguishes an escaped reserved
    /// character from a bare one, but registrars do not.
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
    /// Reduces the text from `begin` on to the significant part of a telephone number (keys.hpp),
    /// if it is one or `is_tel` is set.
    void fold_number(std::size_t begin, bool is_tel) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    static int value_of(char digit) noexcept {
        if (sip_text::is_digit(digit)) return digit - '0';
        const char letter = sip_text::lower(digit);
        return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
    }

    std::array<char, 512> text_; // not initialised: the first `size_` are valid
    std::size_t size_ = 0;
};

/// The text without its first `count` characters. Unlike substr() it never throws.
constexpr std::string_view behind(std::string_view text, std::size_t count) noexcept {
    text.remove_prefix(std::min(count, text.size()));
    return text;
}

/// RFC 3966 §3.
constexpr bool is_visual_separator(char c) noexcept {
    return c == '-' || c == '.' || c == '(' || c == ')';
}

/// Whether the text has only digits and visual separators; the keys `*` and `#` of local numbers
/// count as digits.
bool is_number(std::string_view text) noexcept {
    if (text.starts_with('+')) text.remove_prefix(1);
    bool has_digit = false;
    for (const char c : text) {
        const bool is_key = sip_text::is_digit(c) || c == '*' || c == '#';
        if (!is_key && !is_visual_separator(c)) return false;
        has_digit = has_digit || is_key;
    }
    return has_digit;
}

void KeyText::fold_number(std::size_t begin, bool is_tel) noexcept {
    constexpr std::string_view kContext = "phone-context=";
    const std::string_view all = behind(text(), begin);
    const std::size_t end = std::min(all.find(';'), all.size());
    if (!is_tel && !is_number(all.substr(0, end))) return;
    const bool is_global = all.starts_with('+');
    KeyText folded;
    const auto add_without_separators = [&](std::string_view text) {
        for (const char c : text)
            if (!is_visual_separator(c)) folded.add(sip_text::lower(c));
    };
    add_without_separators(all.substr(0, end));
    for (std::size_t at = end; at < all.size() && !is_global;) {
        const std::size_t next = std::min(all.find(';', at + 1), all.size());
        const std::string_view parameter = behind(all.substr(0, next), at + 1);
        at = next;
        if (parameter.size() < kContext.size() ||
            !std::equal(kContext.begin(), kContext.end(), parameter.begin(), [](char a, char b) {
                return a == sip_text::lower(b);
            }))
            continue;
        const std::string_view context = behind(parameter, kContext.size());
        folded.add(';');
        if (is_number(context))
            add_without_separators(context);
        else
            folded.add_lower(context);
        break;
    }
    size_ = begin;
    add(folded.text());
}

void add_user(const Uri& uri, KeyText& to) noexcept {
    const std::size_t begin = to.size();
    const bool is_tel = uri.scheme() == UriScheme::Tel;
    to.add_decoded(is_tel ? uri.rest() : uri.user().value_or(std::string_view{}));
    to.fold_number(begin, is_tel);
}

/// Adds user@host; for a URI without host the number, or all after the scheme. False: it is
/// unreadable.
bool add_address(std::string_view uri_text, KeyText& to) noexcept {
    const Uri uri = read_uri(uri_text);
    if (!uri.readable()) return false;
    const std::string_view host = uri.host().text;
    if (uri.user())
        add_user(uri, to);
    else if (host.empty())
        to.add_decoded(uri.rest());
    to.add('@');
    to.add_lower(host);
    return true;
}

bool add_address(const std::optional<NameAddr>& address, KeyText& to) noexcept {
    return address && add_address(address->uri(), to);
}

/// False: the message does not have that key.
bool read_key(const KeyRule& rule, const ReceivedMessage& received, KeyText& to) noexcept {
    if (rule.type == KeyType::Source) {
        const std::uint32_t address = received.source.value;
        for (unsigned i = 0; i < sizeof(address); ++i)
            to.add(static_cast<char>(address >> (8 * i) & 0xff));
        return address != 0; // 0: the address is not known
    }
    if (rule.type == KeyType::CallId || received.payload.empty()) return false;
    const SipMessage message(received.payload);
    switch (rule.type) {
    case KeyType::Aor:
        return add_address(message.to(), to);
    case KeyType::From:
        return add_address(message.from(), to);
    case KeyType::RequestUriUser: {
        const Uri uri = read_uri(message.request_uri());
        if (!uri.user()) return false;
        add_user(uri, to);
        break;
    }
    case KeyType::Header:
        if (const auto field = message.first(rule.header)) to.add(field->value);
        break;
    case KeyType::CallId:
    case KeyType::Source:
    case KeyType::Transaction:
        break;
    }
    return to.size() > 0;
}

/// Four characters as a number, letters in lower case, the first one in the lowest byte.
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

std::optional<std::uint64_t> key_hash(const KeyRule& rule,
                                      const ReceivedMessage& received) noexcept {
    KeyText key;
    if (!read_key(rule, received, key)) return std::nullopt;
    return hash_key(rule.prefix, key.text());
}

std::size_t
key_text(const KeyRule& rule, const ReceivedMessage& received, std::span<char> into) noexcept {
    KeyText key;
    if (!read_key(rule, received, key)) return 0;
    return key.text().copy(into.data(), into.size());
}

bool may_reference_call(std::span<const std::byte> payload) noexcept {
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
        if (sip_words::may_be_reference(sip_words::word_at(all, at + 1))) return true;
    }
    return false;
}

std::optional<std::uint32_t> granted_seconds(std::span<const std::byte> payload) noexcept {
    const SipMessage message(payload);
    std::optional<std::uint32_t> longest;
    for (const std::string_view contact : message.values(HeaderId::Contact)) {
        const Number asked =
            read_number(read_name_addr(contact).parameters().find_token("expires"));
        if (asked.has_value()) longest = std::max(longest.value_or(0), asked.value);
    }
    if (longest) return longest;
    const Number expires = message.expires();
    return expires.has_value() ? std::optional(expires.value) : std::nullopt;
}

std::uint32_t asked_seconds(std::span<const std::byte> payload) noexcept {
    return granted_seconds(payload).value_or(kUsualExpires);
}

bool ends_a_subscription(std::span<const std::byte> payload) noexcept {
    constexpr std::string_view kEnd = "terminated";
    const auto field = SipMessage(payload).first("Subscription-State");
    if (!field) return false;
    const std::string_view state = field->value.substr(0, field->value.find_first_of("; \t"));
    return sip_text::equals_ignoring_case(state, kEnd);
}

std::string_view referenced_call(std::span<const std::byte> payload) noexcept {
    const SipMessage message(payload);
    for (const auto& reference : {message.replaces(), message.join(), message.target_dialog()})
        if (reference && !reference->call_id.empty()) return reference->call_id;
    return {};
}

} // namespace viaduct
