// SPDX-License-Identifier: Apache-2.0
//
// value: parses the text of one header field value (Via, name-addr, URI, parameters).
//
// In:    a view into a payload, from SipMessage. Hostile. No byte outside it is read.
// Out:   views into the same bytes, with folds and escapes. Absent is an explicit state.
// Cost:  one pass over the value on demand; no allocation, no copy. Iterating over all parameters
//        is one pass; each find() is one pass.
// Spec:  RFC 3261 §7.3.1 (lists, parameters), §19.1 (SIP URI), §20.10 (addr-spec without brackets),
//        §20.42 (Via), §25.1 (grammar); RFC 3966 (tel); RFC 3581 (rport); RFC 3891, 3911, 4538.
#pragma once

#include "viaduct/net.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace viaduct {

enum class Reading : std::uint8_t { Absent, Unreadable, Value };

struct Number {
    Reading reading = Reading::Absent;
    std::uint32_t value = 0; ///< valid when `reading` is Value; saturates at 2^32 - 1

    [[nodiscard]] constexpr bool has_value() const noexcept { return reading == Reading::Value; }
    bool operator==(const Number&) const = default;
};

/// Reads 1*DIGIT with optional white space around it; anything else is Unreadable, never Absent.
[[nodiscard]] Number read_number(std::string_view text) noexcept;

/// The end of a range.
struct RangeEnd {};

/// Finds the characters that separate the parts of a value: `"` `,` `:` `;` `<` `=` `>` `?` `@`
/// `\`, white space and control characters. The outer marks `"` `,` `;` `<` `>` `\` can also be
/// searched alone. Reads 64 bytes at a time, none of them outside the text, and keeps the result.
class Marks {
public:
    Marks() = default;
    explicit Marks(std::string_view text, std::size_t at = 0) noexcept : text_(text) { load(at); }

    [[nodiscard]] std::string_view text() const noexcept { return text_; }

    /// The position of the first mark from `at` on; the text's size when there is none.
    [[nodiscard]] std::size_t next(std::size_t at) noexcept { return next_in<&Block::all>(at); }
    /// The same for outer marks.
    [[nodiscard]] std::size_t next_outer(std::size_t at) noexcept {
        return next_in<&Block::outer>(at);
    }
    /// The same for some marks only.
    template <char... kChars> [[nodiscard]] std::size_t next_of(std::size_t at) noexcept {
        constexpr bool kOuter = (is_outer(kChars) && ...);
        while ((at = kOuter ? next_outer(at) : next(at)) < text_.size() &&
               ((text_[at] != kChars) && ...))
            ++at;
        return at;
    }
    /// `at` is after an opening quote, or after "<"; returns the position after the closing one, or
    /// the size.
    [[nodiscard]] std::size_t skip_quoted(std::size_t at) noexcept;
    [[nodiscard]] std::size_t skip_bracketed(std::size_t at) noexcept;

private:
    static constexpr std::size_t kBlock = 64;
    static constexpr bool is_outer(char c) noexcept {
        return c == '"' || c == ',' || c == ';' || c == '<' || c == '>' || c == '\\';
    }
    /// The end of the text counts as a mark.
    struct Block {
        std::uint64_t all = 0;
        std::uint64_t outer = 0;
    };
    /// The marks of up to 64 bytes from `at` on.
    static Block look_at(std::string_view text, std::size_t at) noexcept;
    void load(std::size_t at) noexcept {
        base_ = at;
        block_ = look_at(text_, at);
    }
    template <std::uint64_t Block::*kMarks>
    [[nodiscard]] std::size_t next_in(std::size_t at) noexcept {
        for (;;) {
            if (at - base_ < kBlock) { // unsigned: also excludes places before the block
                if (const std::uint64_t left = block_.*kMarks >> (at - base_); left != 0) [[likely]]
                    return at + static_cast<unsigned>(std::countr_zero(left));
                at = base_ + kBlock;
            }
            if (at >= text_.size()) return text_.size();
            load(at);
        }
    }

    std::string_view text_;
    std::size_t base_ = 0;
    Block block_; ///< the block at `base_`
};

/// `;name` or `;name=value`. Compare names without case (RFC 3261 §7.3.1).
struct Parameter {
    std::string_view name;
    bool has_value = false;
    std::string_view value; ///< a quoted string keeps its quotes, and any text attached to it
};

/// Where the parameters are, which decides what ends one. In a header field value white space may
/// surround every part, quoted strings and <URIs> hide their marks, and a comma ends the value. In
/// a URI there is none of this, and the text ends before "?".
enum class ParameterPlace : std::uint8_t { HeaderField, Uri };

class ParameterIterator;

/// The parameters of one value in order, including duplicates. Several empty ones in a row (`;;;`)
/// count as one.
class Parameters {
public:
    Parameters() = default;
    /// The parameters of a text from `at` to `end`; text before the first ";" is skipped.
    Parameters(const Marks& marks, std::size_t at, std::size_t end, ParameterPlace place) noexcept
        : marks_(marks), at_(at), end_(end), place_(place) {}
    Parameters(std::string_view text, ParameterPlace place) noexcept
        : Parameters(Marks(text), 0, text.size(), place) {}

    [[nodiscard]] ParameterIterator begin() const noexcept;
    [[nodiscard]] static RangeEnd end() noexcept { return {}; }

    /// The first parameter with that name; `name` is lower case.
    [[nodiscard]] std::optional<Parameter> find(std::string_view name) const noexcept;

    /// The value of the first parameter with that name that has one, up to white space, where a
    /// token ends; empty when absent. Tags and branches are read in this way, here and in
    /// read_digest().
    [[nodiscard]] std::string_view find_token(std::string_view name) const noexcept;

    /// Removes the first parameter; false when there is none.
    [[nodiscard]] bool take(Parameter& parameter) noexcept {
        return at_ < end_ && take_next(parameter);
    }

private:
    [[nodiscard]] bool take_next(Parameter& parameter) noexcept;
    [[nodiscard]] bool take_in_uri(Parameter& parameter) noexcept;

    Marks marks_;
    std::size_t at_ = 0;
    std::size_t end_ = 0;
    ParameterPlace place_ = ParameterPlace::HeaderField;
};

class ParameterIterator {
public:
    explicit ParameterIterator(const Parameters& parameters) noexcept : rest_(parameters) {
        ++*this;
    }
    [[nodiscard]] const Parameter& operator*() const noexcept { return parameter_; }
    [[nodiscard]] const Parameter* operator->() const noexcept { return &parameter_; }
    ParameterIterator& operator++() noexcept {
        found_ = rest_.take(parameter_);
        return *this;
    }
    [[nodiscard]] bool operator==(RangeEnd) const noexcept { return !found_; }

private:
    Parameters rest_;
    Parameter parameter_;
    bool found_ = false;
};

inline ParameterIterator Parameters::begin() const noexcept {
    return ParameterIterator(*this);
}

/// A host name, an IPv4 address or an IPv6 reference. The characters of a name are not checked.
struct Host {
    std::string_view text; ///< empty when unreadable; an IPv6 reference without its brackets
    bool is_ipv6 = false;

    [[nodiscard]] bool readable() const noexcept { return !text.empty(); }
    /// Empty for a name, and for an address that parse_ipv4() does not accept.
    [[nodiscard]] std::optional<Ipv4Addr> ipv4() const noexcept {
        return is_ipv6 ? std::nullopt : parse_ipv4(text);
    }
};

/// Reads a whole host, such as a received or maddr parameter: a name, an IPv4 address, an IPv6
/// address with or without brackets (RFC 5118 §4.5).
[[nodiscard]] Host read_host(std::string_view text) noexcept;

/// The place of a part in its text: 8 bytes, where a view has 16. A part that may be absent never
/// starts at the first byte.
struct Part {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;

    [[nodiscard]] bool present() const noexcept { return begin != 0; }
    [[nodiscard]] std::string_view of(std::string_view text) const noexcept {
        return {text.data() + begin, std::size_t{end} - begin};
    }
    [[nodiscard]] std::optional<std::string_view> if_present(std::string_view text) const noexcept {
        return present() ? std::optional(of(text)) : std::nullopt;
    }
};

/// Reads a port: up to 65535, else Unreadable.
[[nodiscard]] Number read_port(std::string_view text) noexcept;

enum class UriScheme : std::uint8_t { Unreadable, Sip, Sips, Tel, Other };

/// A URI. Parts that its scheme does not have are absent. Escapes (%41) are kept.
class Uri {
public:
    // Not defaulted: the compiler would zero it with `rep stos`, which takes longer than reading.
    Uri() noexcept {} // NOLINT(modernize-use-equals-default)
    /// Whether there is a scheme and, for sip and sips, a host with nothing unexpected after it;
    /// for tel, a number. The port is not checked.
    [[nodiscard]] bool readable() const noexcept { return readable_; }
    [[nodiscard]] UriScheme scheme() const noexcept { return scheme_; }
    [[nodiscard]] std::string_view scheme_text() const noexcept {
        return Part{0, colon_}.of(text());
    }
    /// All after "scheme:".
    [[nodiscard]] std::string_view rest() const noexcept {
        return scheme_ == UriScheme::Unreadable ? std::string_view()
                                                : text_at(colon_ + std::size_t{1});
    }
    /// For tel: the number.
    [[nodiscard]] std::optional<std::string_view> user() const noexcept {
        return user_.if_present(text());
    }
    [[nodiscard]] std::optional<std::string_view> password() const noexcept {
        return password_.if_present(text());
    }
    [[nodiscard]] Host host() const noexcept {
        return {host_.of(text()), host_.present() && text()[host_.begin - 1] == '['};
    }
    [[nodiscard]] Number port() const noexcept {
        return port_.present() ? read_port(port_.of(text())) : Number{};
    }
    [[nodiscard]] Parameters parameters() const noexcept {
        return {marks_, parameters_.begin, parameters_.end, ParameterPlace::Uri};
    }
    /// All after "?"; empty when absent.
    [[nodiscard]] std::string_view headers() const noexcept {
        return scheme_ == UriScheme::Unreadable || parameters_.end == text().size()
                   ? std::string_view()
                   : text_at(parameters_.end + std::size_t{1});
    }

private:
    friend Uri read_uri(std::string_view text) noexcept;
    void read(std::string_view text) noexcept;
    void read_sip(Marks& marks, std::size_t at) noexcept;
    void read_other(std::string_view text) noexcept;
    [[nodiscard]] std::string_view text() const noexcept { return marks_.text(); }
    [[nodiscard]] std::string_view text_at(std::size_t at) const noexcept {
        return {text().data() + at, text().size() - at};
    }

    Marks marks_; ///< of the text
    Part user_;
    Part password_;
    Part host_;
    Part port_;
    Part parameters_;
    std::uint32_t colon_ = 0; ///< after the scheme
    UriScheme scheme_ = UriScheme::Unreadable;
    bool readable_ = false;
};

[[nodiscard]] Uri read_uri(std::string_view text) noexcept;

/// A value of From, To, Contact, Route, Record-Route, Refer-To: name-addr or addr-spec. Without
/// brackets the parameters belong to the header field, not to the URI (RFC 3261 §20.10).
class NameAddr {
public:
    /// Without its quotes, with its escapes; empty when absent.
    [[nodiscard]] std::string_view display_name() const noexcept { return name_.of(value()); }
    /// The text for read_uri(); empty when unreadable.
    [[nodiscard]] std::string_view uri() const noexcept { return uri_.of(value()); }
    /// `Contact: *`
    [[nodiscard]] bool is_star() const noexcept { return !is_bracketed_ && uri() == "*"; }
    [[nodiscard]] bool is_bracketed() const noexcept { return is_bracketed_; }
    [[nodiscard]] Parameters parameters() const noexcept {
        return {marks_, parameters_at_, value().size(), ParameterPlace::HeaderField};
    }
    [[nodiscard]] std::string_view tag() const noexcept { return parameters().find_token("tag"); }

private:
    [[nodiscard]] std::string_view value() const noexcept { return marks_.text(); }
    friend NameAddr read_name_addr(std::string_view value) noexcept;

    Marks marks_; ///< of the value
    Part name_;
    Part uri_;
    std::uint32_t parameters_at_ = 0;
    bool is_bracketed_ = false;
};

[[nodiscard]] NameAddr read_name_addr(std::string_view value) noexcept;

class Via {
public:
    // Not defaulted: the compiler would zero it with `rep stos`, which takes longer than reading.
    Via() noexcept {} // NOLINT(modernize-use-equals-default)
    /// Whether sent-protocol and sent-by could be read; the parameters are read in any case. The
    /// port is not checked.
    [[nodiscard]] bool readable() const noexcept { return readable_; }
    [[nodiscard]] std::string_view protocol() const noexcept { return protocol_.of(value()); }
    [[nodiscard]] std::string_view version() const noexcept { return version_.of(value()); }
    [[nodiscard]] std::string_view transport() const noexcept { return transport_.of(value()); }
    /// Host and port of sent-by.
    [[nodiscard]] Host host() const noexcept {
        return {host_.of(value()), host_.present() && value()[host_.begin - 1] == '['};
    }
    [[nodiscard]] Number port() const noexcept {
        return port_.present() ? read_port(port_.of(value())) : Number{};
    }
    /// Empty when absent.
    [[nodiscard]] std::string_view branch() const noexcept { return branch_.of(value()); }
    [[nodiscard]] bool has_rport() const noexcept { return has_rport_; }
    /// Absent when there is no rport, or one without a value (RFC 3581 §3).
    [[nodiscard]] Number rport() const noexcept {
        return rport_.present() ? read_port(rport_.of(value())) : Number{};
    }
    /// Both for read_host(); empty when absent.
    [[nodiscard]] std::string_view received() const noexcept { return received_.of(value()); }
    [[nodiscard]] std::string_view maddr() const noexcept { return maddr_.of(value()); }
    [[nodiscard]] Number ttl() const noexcept {
        return ttl_.present() ? read_number(ttl_.of(value())) : Number{};
    }
    [[nodiscard]] Parameters parameters() const noexcept {
        return {marks_, parameters_at_, value().size(), ParameterPlace::HeaderField};
    }

private:
    [[nodiscard]] std::string_view value() const noexcept { return marks_.text(); }
    friend Via read_via(std::string_view value) noexcept;
    void read(std::string_view value) noexcept;
    [[nodiscard]] std::size_t read_protocol(std::string_view value) noexcept;
    [[nodiscard]] std::size_t read_sent(Marks& marks) noexcept;
    void take(std::string_view value, const Parameter& parameter) noexcept;

    Marks marks_; ///< of the value
    Part protocol_;
    Part version_;
    Part transport_;
    Part host_;
    Part port_;
    Part branch_;
    Part rport_;
    Part received_;
    Part maddr_;
    Part ttl_;
    std::uint32_t parameters_at_ = 0;
    bool readable_ = false;
    bool has_rport_ = false;
};

[[nodiscard]] Via read_via(std::string_view value) noexcept;

/// The dialog that a Replaces, Join or Target-Dialog names, from the view of the recipient.
struct DialogReference {
    std::string_view call_id;    ///< empty when unreadable
    std::string_view local_tag;  ///< to-tag of Replaces and Join; empty when absent
    std::string_view remote_tag; ///< from-tag of Replaces and Join; empty when absent
    bool early_only = false;     ///< RFC 3891 §6.1
};

[[nodiscard]] DialogReference read_dialog_reference(std::string_view value) noexcept;

/// Removes the first value from a comma list: returns it without surrounding white space and moves
/// `at` after its comma, or beyond the end of `list` (`at > list.size()`) after the last. Commas in
/// quoted strings and <> do not count (RFC 3261 §7.3.1). An empty element is an empty view; several
/// in a row count as one.
[[nodiscard]] std::string_view take_list_value(std::string_view list, std::size_t& at) noexcept;
/// The same for repeated calls: keeps the marks in between.
[[nodiscard]] std::string_view take_list_value(Marks& list, std::size_t& at) noexcept;
/// Whether the value may have more than one element.
[[nodiscard]] bool may_be_list(std::string_view value) noexcept;

} // namespace viaduct
