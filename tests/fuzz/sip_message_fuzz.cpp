// SPDX-License-Identifier: Apache-2.0
//
// sip_message_fuzz: any bytes through the full reading, asked for everything it knows.
//
// In:    byte 0, then a payload, or one header field value when byte 0 is odd.
// Laws:  every part lies in the payload; fields stand one behind the other, the body behind them;
//        a field is found by its number and by its name; lists end; what the digest holds, too, is
//        the same there.
#include "digests.hpp"
#include "fuzz_input.hpp"
#include "guarded.hpp"

#include "viaduct/sip/message.hpp"

namespace viaduct::fuzz {

namespace {

constexpr std::size_t kControlBytes = 1;

void check_parameters(const Parameters& parameters, std::string_view text) {
    std::size_t count = 0;
    for (const Parameter& parameter : parameters) {
        require(lies_in(parameter.name, text) && lies_in(parameter.value, text),
                "a parameter lies in its value");
        require(parameter.has_value || parameter.value.empty(), "no value where there is none");
        require(++count <= text.size(), "parameters end");
    }
    if (const auto tag = parameters.find("tag"))
        require(tag->name.size() == 3, "a parameter is found by its whole name");
}

void check_host(const Host& host, std::string_view text) {
    require(lies_in(host.text, text), "a host lies in its value");
    require(host.readable() || !host.ipv4(), "what is unreadable is no address");
}

void check_uri(std::string_view text) {
    const Uri uri = read_uri(text);
    check_host(uri.host(), text);
    check_parameters(uri.parameters(), text);
    for (const std::string_view part : {uri.scheme_text(),
                                        uri.rest(),
                                        uri.user().value_or(""),
                                        uri.password().value_or(""),
                                        uri.headers()})
        require(lies_in(part, text), "a part lies in its URI");
    require(uri.readable() || uri.scheme() != UriScheme::Other || uri.rest().empty(),
            "what follows another scheme is not judged");
    require(!uri.readable() || uri.scheme() != UriScheme::Unreadable, "readable has a scheme");
    require(!uri.port().has_value() || uri.port().value <= 65'535, "a port has 16 bits");
}

void check_name_addr(std::string_view value) {
    const NameAddr address = read_name_addr(value);
    require(lies_in(address.display_name(), value) && lies_in(address.uri(), value) &&
                lies_in(address.tag(), value),
            "a part lies in its name-addr");
    require(!address.is_star() || !address.is_bracketed(), "a star has no brackets");
    check_parameters(address.parameters(), value);
    check_uri(address.uri());
}

void check_via(std::string_view value) {
    const Via via = read_via(value);
    for (const std::string_view part : {via.protocol(),
                                        via.version(),
                                        via.transport(),
                                        via.branch(),
                                        via.received(),
                                        via.maddr()})
        require(lies_in(part, value), "a part lies in its Via");
    check_host(via.host(), value);
    check_host(read_host(via.received()), value);
    check_host(read_host(via.maddr()), value);
    require(!via.readable() || via.host().readable(), "a readable Via has a host");
    require(via.has_rport() || via.rport().reading == Reading::Absent, "no value without an rport");
    require(!via.rport().has_value() || via.rport().value <= 65'535, "an rport has 16 bits");
    require(via.ttl().reading != Reading::Absent || !via.parameters().find("ttl") ||
                !via.parameters().find("ttl")->has_value,
            "a ttl that is there is not absent");
    check_parameters(via.parameters(), value);
}

void check_reference(const DialogReference& reference, std::string_view value) {
    for (const std::string_view part :
         {reference.call_id, reference.local_tag, reference.remote_tag})
        require(lies_in(part, value), "a part lies in its reference");
}

/// Any value as anything.
void check_value(std::string_view value) {
    check_name_addr(value);
    check_via(value);
    check_uri(value);
    check_host(read_host(value), value);
    check_reference(read_dialog_reference(value), value);
    const Number number = read_number(value);
    require(number.reading != Reading::Absent, "a number that is there is not absent");
    std::size_t bytes = 0;
    for (std::size_t at = 0, before = 0; at <= value.size(); before = at) {
        const std::string_view one = take_list_value(value, at);
        require(lies_in(one, value) && at > before, "a list moves on");
        bytes += one.size();
    }
    require(bytes <= value.size(), "the values of a list do not overlap");
}

void check_fields(const SipMessage& message, std::string_view payload) {
    std::size_t count = 0;
    const char* at = payload.data();
    for (const HeaderField field : message.fields()) {
        require(++count <= kMaxHeaderLines, "no more fields than lines are looked at");
        require(lies_in(field.lines, payload) && lies_in(field.name, field.lines) &&
                    lies_in(field.value, field.lines),
                "a field lies in the payload");
        require(field.lines.data() >= at, "fields stand one behind the other");
        at = field.lines.data() + field.lines.size();
        require(header_named(field.name) == field.id, "a field has the number of its name");
        const auto first = message.first(field.name);
        require(first && first->lines.data() <= field.lines.data(), "a field is found by its name");
        if (field.id != HeaderId::Other)
            require(message.first(field.id)->lines.data() == first->lines.data(),
                    "the name and the number find the same field");
        check_value(field.value);
        std::size_t values = 0;
        for (const std::string_view value : message.values(field.name)) {
            require(lies_in(value, payload), "a value lies in the payload");
            require(++values <= payload.size(), "values end");
            if (values > 64) break; // each of them for each field would be quadratic
        }
    }
    const Body body = message.body();
    require(lies_in(body.bytes, payload), "the body lies in the payload");
    require(body.bytes.empty() || (message.has_empty_line() && body.bytes.data() >= at),
            "the body follows the empty line");
    for (const std::string_view part :
         {message.method_text(), message.request_uri(), message.reason()})
        require(lies_in(part, payload), "the first line lies in the payload");
}

/// To the digest a number of so many is none.
bool has_many_digits(std::string_view value) {
    constexpr std::size_t kManyDigits = 64;
    return std::min(value.find_first_not_of("0123456789"), value.size()) > kManyDigits;
}

void check_against_digest(const SipMessage& message, std::span<const std::byte> payload) {
    const SipDigest digest = read_digest(payload, {.lenient = true});
    require(digest.kind == message.kind(), "the digest has the same kind");
    require(digest.method == message.method(), "the digest has the same method");
    require(digest.status == message.status(), "the digest has the same status");
    // A value may be cut by the cap on lines here, and by nothing in a lenient digest.
    if (message.has_too_many_lines()) return;
    if (digest.defect != Defect::None || digest.kind == PayloadKind::KeepAlive ||
        digest.kind == PayloadKind::Stun)
        return;
    require(digest.call_id == message.call_id(), "the digest has the same Call-ID");
    if (const auto cseq = message.first(HeaderId::CSeq); cseq && !has_many_digits(cseq->value))
        require(digest.cseq == message.cseq(), "the digest has the same CSeq");
    if (const auto from = message.first(HeaderId::From); from && test::has_few_marks(from->value))
        require(digest.from_tag == message.from()->tag(), "the digest has the same From-tag");
    if (const auto to = message.first(HeaderId::To); to && test::has_few_marks(to->value))
        require(digest.to_tag == message.to()->tag(), "the digest has the same To-tag");
    if (const auto via = message.first(HeaderId::Via); via && test::has_few_marks(via->value))
        require(digest.top_via_branch == message.top_via()->branch() ||
                    digest.top_via_branch.starts_with('"'), // no branch: what it is is not judged
                "the digest has the same branch");
}

} // namespace

} // namespace viaduct::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace viaduct;
    using namespace viaduct::fuzz;
    if (size < kControlBytes) return 0;
    const auto bytes = test::guarded(std::string_view(
        reinterpret_cast<const char*>(data) + kControlBytes, size - kControlBytes));
    const std::string_view payload = view_of(bytes);
    if ((data[0] & 1) != 0) {
        check_value(payload);
        return 0;
    }
    const SipMessage message(bytes);
    check_fields(message, payload);
    check_against_digest(message, bytes);
    for (const HeaderId id : {HeaderId::Replaces, HeaderId::Join, HeaderId::TargetDialog})
        if (const auto field = message.first(id))
            check_reference(id == HeaderId::Replaces ? *message.replaces()
                            : id == HeaderId::Join   ? *message.join()
                                                     : *message.target_dialog(),
                            field->value);
    require((message.max_forwards().reading == Reading::Absent) ==
                !message.first(HeaderId::MaxForwards).has_value(),
            "absent is absent");
    require((message.expires().reading == Reading::Absent) ==
                !message.first(HeaderId::Expires).has_value(),
            "absent is absent");
    return 0;
}

extern "C" std::size_t
LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
    return viaduct::fuzz::mutate_input(viaduct::fuzz::kControlBytes, data, size, max_size, seed);
}
