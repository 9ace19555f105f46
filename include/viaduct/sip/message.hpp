// SPDX-License-Identifier: Apache-2.0
//
// message: every header field in the bytes of one UDP payload, read on demand.
//
// In:    payload as received. Hostile. No byte outside it is read.
// Out:   SipMessage; its views point into the payload and are valid as long as it.
// Cost:  the constructor makes one pass over the header lines and notes where they are; each query
//        is one pass over the fields it asks for. No allocation; the index is in the object.
// Spec:  RFC 3261 §7 (lines, lists, compact names), §18.3 (body), §20 (fields). Where read_digest()
//        reads the same field, both agree within the limits of read_digest() (docs/sip.md).
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/sip/digest.hpp"
#include "viaduct/sip/value.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace viaduct {

struct LineEnds;

/// Known header fields; compact names count as the long ones (RFC 3261 §7.3.3, RFC 3515, 3841,
/// 3892, 4028, 6665, 8224).
enum class HeaderId : std::uint8_t {
    Other, ///< any other name
    AcceptContact,
    AllowEvents,
    CSeq,
    CallId,
    Contact,
    ContentEncoding,
    ContentLength,
    ContentType,
    Event,
    Expires,
    From,
    Identity,
    Join,
    MaxForwards,
    ProxyRequire,
    RecordRoute,
    ReferTo,
    ReferredBy,
    RejectContact,
    Replaces,
    RequestDisposition,
    Require,
    Route,
    SessionExpires,
    Subject,
    Supported,
    TargetDialog,
    To,
    UserAgent,
    Via,
};

/// The field with this name, long or compact, in any letter case.
[[nodiscard]] HeaderId header_named(std::string_view name) noexcept;

/// The method with this name; case matters (RFC 3261 §7.1).
[[nodiscard]] Method method_named(std::string_view name) noexcept;

struct HeaderField {
    HeaderId id = HeaderId::Other;
    std::string_view name;  ///< as written
    std::string_view value; ///< without surrounding white space, with its folds
    std::string_view lines; ///< the whole field with its line end, to remove or insert before
};

/// How Content-Length and the bytes after the empty line agree (RFC 3261 §18.3).
enum class BodyLength : std::uint8_t {
    Absent,     ///< no Content-Length: the body ends with the datagram
    Exact,      ///< they agree
    Cut,        ///< it is less than there is: the bytes beyond it are not part of the body
    Missing,    ///< it is more than there is: to a request answer 400, discard a response
    Unreadable, ///< it is not a number: the body ends with the datagram
};

struct Body {
    std::string_view bytes;
    BodyLength length = BodyLength::Absent;
};

/// One message, read on demand. A payload that is not SIP has no first line; its fields are indexed
/// all the same. Line ends are CRLF or a bare LF; a bare CR ends no line. Lines without a colon are
/// ignored. At most 65,535 bytes are read.
class SipMessage {
    struct Row;

public:
    explicit SipMessage(std::span<const std::byte> payload) noexcept;
    SipMessage(const SipMessage&) = delete;
    SipMessage& operator=(const SipMessage&) = delete;

    [[nodiscard]] PayloadKind kind() const noexcept { return kind_; }
    /// More than kMaxHeaderLines: fields beyond them are not known, and there is no body.
    [[nodiscard]] bool has_too_many_lines() const noexcept { return has_too_many_lines_; }
    /// Whether the header ended with an empty line (RFC 3261 §7.5), not with the datagram.
    [[nodiscard]] bool has_empty_line() const noexcept { return has_empty_line_; }

    /// For a request whose first line is readable as a whole; else empty and Other.
    [[nodiscard]] std::string_view method_text() const noexcept { return method_; }
    [[nodiscard]] Method method() const noexcept { return method_named(method_); }
    [[nodiscard]] std::string_view request_uri() const noexcept { return request_uri_; }
    /// For a response: 100..699, 0 when unreadable. Else 0 and empty.
    [[nodiscard]] std::uint16_t status() const noexcept { return status_; }
    [[nodiscard]] std::string_view reason() const noexcept { return reason_; }

    class FieldIterator {
    public:
        FieldIterator(const SipMessage& message, std::size_t row) noexcept
            : message_(&message), row_(row) {}
        [[nodiscard]] HeaderField operator*() const noexcept { return message_->field(row_); }
        FieldIterator& operator++() noexcept { return ++row_, *this; }
        [[nodiscard]] bool operator==(RangeEnd) const noexcept { return row_ == message_->count_; }

    private:
        const SipMessage* message_;
        std::size_t row_;
    };
    struct Fields {
        const SipMessage& message;
        [[nodiscard]] FieldIterator begin() const noexcept { return {message, 0}; }
        [[nodiscard]] static RangeEnd end() noexcept { return {}; }
    };
    /// All header fields in the order of the message.
    [[nodiscard]] Fields fields() const noexcept { return {*this}; }

    /// The first field with that name: a known one, or as text in any letter case (compact and long
    /// form of a known one give the same). Empty when absent.
    [[nodiscard]] std::optional<HeaderField> first(HeaderId id) const noexcept;
    [[nodiscard]] std::optional<HeaderField> first(std::string_view name) const noexcept;

    class ValueIterator {
    public:
        ValueIterator(const SipMessage& message, HeaderId id, std::string_view name) noexcept
            : message_(&message), id_(id), name_(name) {
            if (message.first_row(id) != kNoRow) begin();
        }
        [[nodiscard]] std::string_view operator*() const noexcept { return value_; }
        ValueIterator& operator++() noexcept { return advance(), *this; }
        [[nodiscard]] bool operator==(RangeEnd) const noexcept { return !found_; }

    private:
        void begin() noexcept;
        void advance() noexcept;
        void enter(std::size_t row) noexcept;

        const SipMessage* message_;
        HeaderId id_;
        bool found_ = false;
        std::string_view name_;
        std::size_t row_ = 0;
        Marks list_;
        std::size_t at_ = 0;
        bool more_ = false; ///< whether the list may continue at `at_`
        std::string_view value_;
    };
    struct Values {
        const SipMessage& message;
        HeaderId id;
        std::string_view name;
        [[nodiscard]] ValueIterator begin() const noexcept { return {message, id, name}; }
        [[nodiscard]] static RangeEnd end() noexcept { return {}; }
    };
    /// The values of all fields with that name, rows and comma lists as one sequence (RFC 3261
    /// §7.3.1). Only for fields that are lists. An empty element is also a value, an empty view;
    /// several in a row count as one.
    [[nodiscard]] Values values(HeaderId id) const noexcept { return {*this, id, {}}; }
    [[nodiscard]] Values values(std::string_view name) const noexcept {
        return {*this, header_named(name), name};
    }

    /// Here and below the first of several fields counts. The value byte for byte; empty when
    /// absent.
    [[nodiscard]] std::string_view call_id() const noexcept;
    [[nodiscard]] std::optional<CSeq> cseq() const noexcept; ///< empty when absent or unreadable
    [[nodiscard]] std::optional<NameAddr> from() const noexcept;
    [[nodiscard]] std::optional<NameAddr> to() const noexcept;
    [[nodiscard]] std::optional<Via> top_via() const noexcept;
    [[nodiscard]] Number max_forwards() const noexcept;
    [[nodiscard]] Number content_length() const noexcept;
    [[nodiscard]] Number expires() const noexcept;
    [[nodiscard]] std::optional<DialogReference> replaces() const noexcept;
    [[nodiscard]] std::optional<DialogReference> join() const noexcept;
    [[nodiscard]] std::optional<DialogReference> target_dialog() const noexcept;
    [[nodiscard]] Body body() const noexcept;

private:
    static constexpr std::uint16_t kNoRow = kMaxHeaderLines;
    static constexpr std::size_t kMaxBytes = 65'535;

    /// Where a field is. Not zeroed before use: the index costs only what is written to it.
    struct Row {
        std::uint16_t begin; ///< of the name
        std::uint16_t colon;
        std::uint16_t end; ///< of the last line, before its line feed
        HeaderId id;
    };

    [[nodiscard]] bool read_usual_line(std::string_view line) noexcept;
    [[nodiscard]] bool read_status_line(std::string_view line) noexcept;
    [[nodiscard]] bool read_request_line(std::string_view line) noexcept;
    void index_fields(LineEnds& ends, std::size_t at) noexcept;
    [[nodiscard]] HeaderField field(std::size_t row) const noexcept;
    [[nodiscard]] std::string_view value(std::size_t row) const noexcept;
    [[nodiscard]] std::size_t first_row(HeaderId id) const noexcept {
        return first_[static_cast<std::size_t>(id)];
    }
    [[nodiscard]] std::size_t
    next_row(std::size_t from, HeaderId id, std::string_view name) const noexcept;
    [[nodiscard]] bool is_repeated(HeaderId id) const noexcept {
        return (repeated_ >> static_cast<unsigned>(id) & 1U) != 0;
    }
    [[nodiscard]] std::optional<std::string_view> first_value(HeaderId id) const noexcept;
    [[nodiscard]] Number first_number(HeaderId id) const noexcept;

    std::string_view text_; ///< from the first line on
    std::size_t body_ = 0;
    PayloadKind kind_ = PayloadKind::NotSip;
    bool has_too_many_lines_ = false;
    bool has_empty_line_ = false;
    std::uint16_t status_ = 0;
    std::string_view method_;
    std::string_view request_uri_;
    std::string_view reason_;
    std::size_t count_ = 0;
    std::uint32_t repeated_ = 0; ///< bit i: there are several fields of that HeaderId
    std::array<std::uint16_t, count_of<HeaderId>()> first_; ///< rows
    std::array<Row, kMaxHeaderLines> rows_;
};

} // namespace viaduct
