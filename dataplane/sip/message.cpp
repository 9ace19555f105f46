// SPDX-License-Identifier: Apache-2.0
#include "viaduct/sip/message.hpp"

#include "sip/names.hpp"
#include "sip/scan.hpp"
#include "sip/text.hpp"

#include <algorithm>

namespace viaduct {

using namespace sip_names;
using namespace sip_text;

namespace {

static_assert(static_cast<unsigned>(HeaderId::Other) == 0);

constexpr std::size_t kNoColon = ~std::size_t{0};

struct LineName {
    std::size_t colon = kNoColon; ///< kNoColon: the line is not a header field
    HeaderId id = HeaderId::Other;
};

/// Reads the name of a header field, of any form, whose first line is from `begin` to `end`.
[[gnu::noinline]] LineName
read_any_name(std::string_view text, std::size_t begin, std::size_t end) noexcept {
    const std::size_t colon = Run<':'>::find(slice(text, 0, end), begin);
    if (colon == end) return {};
    std::size_t name_end = colon; // RFC 3261 §25.1, HCOLON: blanks may precede the colon
    while (name_end > begin && is_blank(text[name_end - 1]))
        --name_end;
    return {colon, header_named(slice(text, begin, name_end))};
}

/// The same, fast for names of up to 31 characters followed directly by their colon, as most are.
inline LineName read_name(std::string_view text, std::size_t begin, std::size_t end) noexcept {
    constexpr std::size_t kSize = Chunk::kSize;
    if (begin + kSize > text.size()) [[unlikely]]
        return read_any_name(text, begin, end);
    const char* const bytes = text.data() + begin;
    const Chunk chunk(bytes);
    // If fewer than 32 bytes are left, reads the same 16 again: the colons of the first copy count.
    const char* const more = begin + 2 * kSize > text.size() ? bytes : bytes + kSize;
    const std::uint32_t colons = chunk.equal(':') | Chunk(more).equal(':') << kSize;
    const auto size = static_cast<std::size_t>(std::countr_zero(colons));
    if (colons == 0 || begin + size >= end) [[unlikely]]
        return read_any_name(text, begin, end);
    // There is always a byte before the first byte of a line.
    const char last = *(bytes + size - 1);
    if (static_cast<unsigned char>(last) <= ' ') [[unlikely]]
        return read_any_name(text, begin, end);
    if (size >= kSize) [[unlikely]] // longer than what is compared at once
        return {begin + size, header_named(slice(text, begin, begin + size))};
    const FoldedHeader& header = kFoldedHeaders[kNameAt[name_slot(bytes[0], last, size)]];
    const std::uint32_t equal = chunk.equal_folded(header.name.data(), header.fold.data());
    // Unknown names are unpredictable, so there is no branch.
    const unsigned known = 0U - unsigned{(~equal & header.bits) == 0};
    return {begin + size, static_cast<HeaderId>(static_cast<unsigned>(header.id) & known)};
}

/// The end of the next line: before its line feed, or the text's end.
inline std::size_t next_end(std::string_view text, LineEnds& ends) noexcept {
    while (ends.taken == ends.count)
        [[unlikely]] {
            if (ends.next == text.size()) return text.size();
            ends.taken = 0;
            best_scan_ops.line_ends(text.data(), text.size(), ends);
        }
    return ends.ends[ends.taken++];
}

} // namespace

HeaderId header_named(std::string_view name) noexcept {
    if (name.empty()) return HeaderId::Other;
    const NameRow& row = kHeaderNames[kNameAt[name_slot(name.front(), name.back(), name.size())]];
    return equals_ignoring_case(name, row.name) ? row.id : HeaderId::Other;
}

Method method_named(std::string_view name) noexcept {
    if (name.empty()) return Method::Other;
    const MethodRow& row = kMethods[method_slot(name.front(), name.size())];
    return row.name == name ? row.method : Method::Other;
}

SipMessage::SipMessage(std::span<const std::byte> payload) noexcept {
    const std::string_view whole(reinterpret_cast<const char*>(payload.data()),
                                 std::min(payload.size(), kMaxBytes));
    std::size_t start = 0; // empty lines before the first line are skipped (RFC 3261 §7.5)
    while (start < whole.size() && (whole[start] == '\r' || whole[start] == '\n'))
        ++start;
    text_ = slice(whole, start, whole.size());

    LineEnds ends;
    std::size_t end = next_end(text_, ends);
    const bool has_return = end > 0 && text_[end - 1] == '\r';
    const std::string_view line = trim(text_, 0, has_return ? end - 1 : end);
    if (!read_usual_line(line) && !read_status_line(line) && !read_request_line(line)) [[unlikely]]
        kind_ = read_digest(payload, {.want = Want::FirstLine, .lenient = true}).kind;
    // Further line feeds after the first line do not end the header section, which has not started.
    while (end + 1 < text_.size() && text_[end + 1] == '\n')
        [[unlikely]] end = next_end(text_, ends);
    index_fields(ends, end + 1);
}

/// Indexes the fields from `at` on.
inline void SipMessage::index_fields(LineEnds& ends, std::size_t at) noexcept {
    static_assert(count_of<HeaderId>() <= 32, "repeated_ has a bit for each");
    const std::string_view text = text_;
    std::uint32_t repeated = 0;
    std::size_t count = 0;
    first_.fill(kNoRow);
    body_ = text.size();
    for (std::size_t lines = 0; at < text.size(); ++lines) {
        const std::size_t begin = at;
        const std::size_t end = next_end(text, ends);
        at = end + 1;
        const char first = text[begin];
        if (static_cast<unsigned char>(first) <= ' ') [[unlikely]] {
            if (first == '\n' || (first == '\r' && end == begin + 1)) { // RFC 3261 §7.5
                has_empty_line_ = true;
                body_ = std::min(at, text.size());
                break;
            }
            if (is_blank(first) && lines < kMaxHeaderLines) {
                // It continues the field before, if that one ends here.
                if (count > 0 && rows_[count - 1].end + std::size_t{1} == begin)
                    rows_[count - 1].end = static_cast<std::uint16_t>(end);
                continue;
            }
        }
        if (lines == kMaxHeaderLines) [[unlikely]] {
            has_too_many_lines_ = true;
            break;
        }
        const LineName name = read_name(text, begin, end);
        if (name.colon == kNoColon) [[unlikely]]
            continue;
        std::uint16_t& first_row = first_[static_cast<std::size_t>(name.id)];
        repeated |= std::uint32_t{first_row != kNoRow} << static_cast<unsigned>(name.id);
        first_row = std::min(first_row, static_cast<std::uint16_t>(count));
        rows_[count++] = {static_cast<std::uint16_t>(begin),
                          static_cast<std::uint16_t>(name.colon),
                          static_cast<std::uint16_t>(end),
                          name.id};
    }
    count_ = count;
    repeated_ = repeated;
}

/// Reads the first line of nearly every message: known method or three digits, single blanks,
/// SIP/2.0 in capitals. False: use the full readers.
inline bool SipMessage::read_usual_line(std::string_view line) noexcept {
    if (line.size() < 13) return false;
    if (std::memcmp(line.data(), "SIP/2.0 ", 8) == 0) {
        if (line[8] < '1' || line[8] > '6' || !is_digit(line[9]) || !is_digit(line[10]) ||
            line[11] != ' ' || is_space(line[12]))
            return false;
        kind_ = PayloadKind::Response;
        status_ = static_cast<std::uint16_t>((line[8] - '0') * 100 + (line[9] - '0') * 10 +
                                             (line[10] - '0'));
        reason_ = slice(line, 12, line.size());
        return true;
    }
    if (line.size() < Chunk::kSize) return false;
    const std::size_t version = line.size() - 7;
    const std::uint32_t blanks = Chunk(line.data()).equal(' ');
    const auto method_end = static_cast<std::size_t>(std::countr_zero(blanks));
    if (blanks == 0 || std::memcmp(line.data() + version - 1, " SIP/2.0", 8) != 0) return false;
    // A URI of at least one character, without a second blank on either side.
    if (method_end + 2 >= version || is_space(line[method_end + 1]) || is_space(line[version - 2]))
        return false;
    const std::string_view method = slice(line, 0, method_end);
    if (method_named(method) == Method::Other) return false;
    kind_ = PayloadKind::Request;
    method_ = method;
    request_uri_ = slice(line, method_end + 1, version - 1);
    return true;
}

/// RFC 3261 §7.2: SIP-Version SP Status-Code SP Reason-Phrase.
bool SipMessage::read_status_line(std::string_view line) noexcept {
    if (line.empty() || lower(line[0]) != 's') return false;
    std::size_t at = 0;
    while (at < line.size() && !is_blank(line[at]))
        ++at;
    if (!is_sip_version(slice(line, 0, at))) return false;
    while (at < line.size() && is_blank(line[at]))
        ++at;
    std::size_t end = at;
    unsigned status = 0;
    while (end < line.size() && is_digit(line[end]) && end - at < 4)
        status = status * 10 + static_cast<unsigned>(line[end++] - '0');
    if (end == at) return false;
    kind_ = PayloadKind::Response;
    const bool whole = end - at == 3 && (end == line.size() || is_blank(line[end]));
    if (whole && status >= 100 && status <= 699) status_ = static_cast<std::uint16_t>(status);
    reason_ = trim(line, end, line.size());
    return true;
}

/// RFC 3261 §7.1: Method SP Request-URI SP SIP-Version.
bool SipMessage::read_request_line(std::string_view line) noexcept {
    const std::size_t method_end = skip(line, 0, kToken);
    if (method_end == 0 || method_end == line.size() || !is_blank(line[method_end])) return false;
    std::size_t version = line.size();
    while (version > 0 && !is_blank(line[version - 1]))
        --version;
    if (!is_sip_version(slice(line, version, line.size()))) return false;
    const std::string_view uri = trim(line, method_end, version);
    if (uri.empty()) return false;
    kind_ = PayloadKind::Request;
    method_ = slice(line, 0, method_end);
    request_uri_ = uri;
    return true;
}

inline std::string_view SipMessage::value(std::size_t row) const noexcept {
    const std::size_t begin = rows_[row].colon + std::size_t{1};
    const std::size_t end = rows_[row].end;
    // Nearly always: one blank before it, CR after it.
    if (end - begin >= 3 && text_[begin] == ' ' && text_[end - 1] == '\r' &&
        !is_space(text_[begin + 1]) && !is_space(text_[end - 2])) [[likely]]
        return slice(text_, begin + 1, end - 1);
    return trim(text_, begin, end);
}

HeaderField SipMessage::field(std::size_t row) const noexcept {
    const Row& where = rows_[row];
    std::size_t name_end = where.colon;
    while (name_end > where.begin && is_blank(text_[name_end - 1]))
        --name_end;
    const std::size_t lines_end = std::min(where.end + std::size_t{1}, text_.size());
    return {where.id,
            slice(text_, where.begin, name_end),
            value(row),
            slice(text_, where.begin, lines_end)};
}

/// The first row with that name from `from` on; `name` decides for fields that are not known.
std::size_t
SipMessage::next_row(std::size_t from, HeaderId id, std::string_view name) const noexcept {
    for (std::size_t row = from; row < count_; ++row) {
        if (rows_[row].id != id) continue;
        if (id != HeaderId::Other || equals_ignoring_case(field(row).name, name)) return row;
    }
    return kNoRow;
}

std::optional<HeaderField> SipMessage::first(HeaderId id) const noexcept {
    const std::size_t row = first_row(id);
    return row == kNoRow ? std::nullopt : std::optional(field(row));
}

std::optional<HeaderField> SipMessage::first(std::string_view name) const noexcept {
    const std::size_t row = next_row(0, header_named(name), name);
    return row == kNoRow ? std::nullopt : std::optional(field(row));
}

void SipMessage::ValueIterator::begin() noexcept {
    const std::size_t row = message_->first_row(id_);
    enter(id_ == HeaderId::Other ? message_->next_row(row, id_, name_) : row);
}

void SipMessage::ValueIterator::enter(std::size_t row) noexcept {
    row_ = row;
    found_ = row != kNoRow;
    if (!found_) return;
    value_ = message_->value(row);
    more_ = may_be_list(value_);
    if (!more_) return; // as with most
    list_ = Marks(value_);
    at_ = 0;
    advance();
}

void SipMessage::ValueIterator::advance() noexcept {
    if (more_) {
        value_ = take_list_value(list_, at_);
        more_ = at_ <= list_.text().size();
    } else {
        enter(id_ == HeaderId::Other || message_->is_repeated(id_)
                  ? message_->next_row(row_ + 1, id_, name_)
                  : kNoRow);
    }
}

inline std::optional<std::string_view> SipMessage::first_value(HeaderId id) const noexcept {
    const std::size_t row = first_row(id);
    return row == kNoRow ? std::nullopt : std::optional(value(row));
}

std::string_view SipMessage::call_id() const noexcept {
    return first_value(HeaderId::CallId).value_or(std::string_view());
}

/// RFC 3261 §20.16: 1*DIGIT LWS Method.
std::optional<CSeq> SipMessage::cseq() const noexcept {
    const std::string_view text = first_value(HeaderId::CSeq).value_or(std::string_view());
    std::size_t at = 0;
    while (at < text.size() && is_digit(text[at]))
        ++at;
    if (at == 0 || at == text.size() || !is_space(text[at])) return std::nullopt;
    return CSeq{read_number(slice(text, 0, at)).value, method_named(trim(text, at, text.size()))};
}

namespace {

/// Lets an optional construct its value in place: a copy would wait for the stores of its parts.
template <typename Value> struct MadeOf {
    Value (*read)(std::string_view) noexcept;
    std::string_view text;
    operator Value() const noexcept { return read(text); } // NOLINT(*-explicit-*)
};

template <typename Value>
std::optional<Value> read_if(const std::optional<std::string_view>& text,
                             Value (*read)(std::string_view) noexcept) noexcept {
    if (!text) return std::nullopt;
    return std::optional<Value>(std::in_place, MadeOf<Value>{read, *text});
}

} // namespace

std::optional<NameAddr> SipMessage::from() const noexcept {
    return read_if(first_value(HeaderId::From), read_name_addr);
}

std::optional<NameAddr> SipMessage::to() const noexcept {
    return read_if(first_value(HeaderId::To), read_name_addr);
}

std::optional<Via> SipMessage::top_via() const noexcept {
    return read_if(first_value(HeaderId::Via), read_via);
}

Number SipMessage::first_number(HeaderId id) const noexcept {
    const auto text = first_value(id);
    return text ? read_number(*text) : Number{};
}

Number SipMessage::max_forwards() const noexcept {
    return first_number(HeaderId::MaxForwards);
}

Number SipMessage::content_length() const noexcept {
    return first_number(HeaderId::ContentLength);
}

Number SipMessage::expires() const noexcept {
    return first_number(HeaderId::Expires);
}

std::optional<DialogReference> SipMessage::replaces() const noexcept {
    return read_if(first_value(HeaderId::Replaces), read_dialog_reference);
}

std::optional<DialogReference> SipMessage::join() const noexcept {
    return read_if(first_value(HeaderId::Join), read_dialog_reference);
}

std::optional<DialogReference> SipMessage::target_dialog() const noexcept {
    return read_if(first_value(HeaderId::TargetDialog), read_dialog_reference);
}

Body SipMessage::body() const noexcept {
    const std::string_view rest = slice(text_, body_, text_.size());
    const Number length = content_length();
    switch (length.reading) {
    case Reading::Absent:
        return {rest, BodyLength::Absent};
    case Reading::Unreadable:
        return {rest, BodyLength::Unreadable};
    case Reading::Value:
        break;
    }
    if (length.value < rest.size()) return {slice(rest, 0, length.value), BodyLength::Cut};
    return {rest, length.value == rest.size() ? BodyLength::Exact : BodyLength::Missing};
}

} // namespace viaduct
