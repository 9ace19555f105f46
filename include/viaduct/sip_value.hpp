// SPDX-License-Identifier: Apache-2.0
//
// sip_value: the text of one header field value -> its parts (Via, name-addr, URI, parameters).
//
// In:    a view into a payload, as SipMessage gives it. Hostile. No byte outside it is read.
// Out:   views into the same bytes, folds and escapes still in them. Absent is an explicit state.
// Cost:  one pass over the value when asked; no allocation, no copy. Going through parameters is
//        one pass in all; find() is one pass each.
// Spec:  RFC 3261 §7.3.1 (lists, parameters), §19.1 (SIP URI), §20.10 (addr-spec without brackets),
//        §20.42 (Via), §25.1 (grammar); RFC 3966 (tel); RFC 3581 (rport); RFC 3891, 3911, 4538.
#pragma once

#include "viaduct/net.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace viaduct {

enum class Reading : std::uint8_t { Absent, Unreadable, Value };

struct Number {
    Reading reading = Reading::Absent;
    std::uint32_t value = 0; ///< when `reading` is Value; saturates at 2^32 - 1

    [[nodiscard]] constexpr bool has_value() const noexcept { return reading == Reading::Value; }
    bool operator==(const Number&) const = default;
};

/// 1*DIGIT with nothing but white space around it; anything else is Unreadable, never Absent.
[[nodiscard]] Number read_number(std::string_view text) noexcept;

/// Where a range ends.
struct RangeEnd {};

/// `;name` or `;name=value`. Compare names without case (RFC 3261 §7.3.1).
struct Parameter {
    std::string_view name;
    bool has_value = false;
    std::string_view value; ///< a quoted string keeps its quotes; empty, too, after "name="
};

/// Where parameters stand decides what ends one: in a header field value white space may surround
/// every part, quoted strings and <URIs> hide their marks, and a comma ends the value; in a URI
/// there is neither, and "?" has been cut off.
enum class ParameterPlace : std::uint8_t { HeaderField, Uri };

/// The parameters of one value in the order in which they stand, duplicates among them.
class Parameters {
public:
    class Iterator {
    public:
        Iterator(std::string_view text, std::size_t at, ParameterPlace place) noexcept
            : text_(text), at_(at), place_(place) {
            advance();
        }
        [[nodiscard]] const Parameter& operator*() const noexcept { return parameter_; }
        [[nodiscard]] const Parameter* operator->() const noexcept { return &parameter_; }
        Iterator& operator++() noexcept { return advance(), *this; }
        [[nodiscard]] bool operator==(RangeEnd) const noexcept { return !found_; }

    private:
        void advance() noexcept;
        void advance_in_uri() noexcept;
        void read_value() noexcept;

        std::string_view text_;
        std::size_t at_ = 0;
        ParameterPlace place_;
        bool found_ = false;
        Parameter parameter_;
    };

    Parameters() = default;
    /// Those of `text` from `at` on; what stands before the first ";" is passed over.
    Parameters(std::string_view text, std::size_t at, ParameterPlace place) noexcept
        : text_(text), at_(at), place_(place) {}

    [[nodiscard]] Iterator begin() const noexcept { return {text_, at_, place_}; }
    [[nodiscard]] static RangeEnd end() noexcept { return {}; }

    /// The first of that name; `name` is lower case.
    [[nodiscard]] std::optional<Parameter> find(std::string_view name) const noexcept;

    /// The first of that name that has a value, up to white space, as a token ends; empty when
    /// absent. What tags and branches are read by, here and in read_digest().
    [[nodiscard]] std::string_view find_token(std::string_view name) const noexcept;

private:
    std::string_view text_;
    std::size_t at_ = 0;
    ParameterPlace place_ = ParameterPlace::HeaderField;
};

enum class HostKind : std::uint8_t { Unreadable, Name, Ipv4, Ipv6 };

struct Host {
    HostKind kind = HostKind::Unreadable;
    std::string_view text; ///< an IPv6 reference without its brackets
    Ipv4Addr address;      ///< of Ipv4
};

/// A whole host, such as a received or maddr parameter: a name, an IPv4 address, an IPv6 address
/// with or without brackets (RFC 5118 §4.5).
[[nodiscard]] Host read_host(std::string_view text) noexcept;

enum class UriScheme : std::uint8_t { Unreadable, Sip, Sips, Tel, Other };

/// A URI. What its scheme does not have is absent. Escapes (%41) stay as they are.
struct Uri {
    UriScheme scheme = UriScheme::Unreadable;
    std::string_view scheme_text;
    std::string_view rest;                    ///< all after "scheme:"
    std::optional<std::string_view> user;     ///< of tel: the number
    std::optional<std::string_view> password; ///< after a ":" in front of the "@"
    Host host;                                ///< of sip and sips
    Number port;                              ///< 0..65535, else Unreadable
    Parameters parameters;
    std::string_view headers; ///< all after "?"

    /// A sip or sips URI with a host and no port that cannot be one; a tel URI with a number; any
    /// other scheme.
    [[nodiscard]] bool readable() const noexcept {
        switch (scheme) {
        case UriScheme::Unreadable:
            return false;
        case UriScheme::Sip:
        case UriScheme::Sips:
            return host.kind != HostKind::Unreadable && port.reading != Reading::Unreadable;
        case UriScheme::Tel:
            return user.has_value() && !user->empty();
        case UriScheme::Other:
            break;
        }
        return true;
    }
};

[[nodiscard]] Uri read_uri(std::string_view text) noexcept;

/// A value of From, To, Contact, Route, Record-Route, Refer-To: name-addr or addr-spec. Without
/// brackets the parameters are the header field's, not the URI's (RFC 3261 §20.10).
struct NameAddr {
    std::string_view display_name; ///< without its quotes, escapes still in it; empty when absent
    std::string_view uri;          ///< for read_uri(); empty when unreadable
    bool is_star = false;          ///< `Contact: *`
    bool is_bracketed = false;
    Parameters parameters;

    [[nodiscard]] std::string_view tag() const noexcept { return parameters.find_token("tag"); }
};

[[nodiscard]] NameAddr read_name_addr(std::string_view value) noexcept;

struct Via {
    /// Whether sent-protocol and sent-by could be read; the parameters are read in any case.
    bool readable = false;
    std::string_view protocol;  ///< "SIP"
    std::string_view version;   ///< "2.0"
    std::string_view transport; ///< "UDP"
    Host host;                  ///< sent-by
    Number port;                ///< of sent-by
    std::string_view branch;    ///< empty when absent
    bool has_rport = false;
    Number rport; ///< Absent when there is no rport, or one without a value (RFC 3581 §3)
    std::string_view received; ///< for read_host(); empty when absent
    std::string_view maddr;    ///< for read_host(); empty when absent
    Number ttl;
    Parameters parameters; ///< all of them
};

[[nodiscard]] Via read_via(std::string_view value) noexcept;

/// What Replaces, Join and Target-Dialog say: the dialog, as the recipient knows it.
struct DialogReference {
    std::string_view call_id;    ///< empty when unreadable
    std::string_view local_tag;  ///< to-tag of Replaces and Join; empty when absent
    std::string_view remote_tag; ///< from-tag of Replaces and Join; empty when absent
    bool early_only = false;     ///< RFC 3891 §6.1
};

[[nodiscard]] DialogReference read_dialog_reference(std::string_view value) noexcept;

/// Takes the first value off a comma list: gives it without white space around it and moves `at`
/// behind its comma, or beyond the end of `list` (`at > list.size()`) after the last. Commas in
/// quoted strings and <> do not count (RFC 3261 §7.3.1). An empty element is an empty view.
[[nodiscard]] std::string_view take_list_value(std::string_view list, std::size_t& at) noexcept;

} // namespace viaduct
