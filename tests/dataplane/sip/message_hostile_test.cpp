// SPDX-License-Identifier: Apache-2.0
//
// sip_message under attack: cut, mutated and huge payloads, each flush against an unreadable page.
// Whatever they hold, all views lie in the payload, ranges go forward, and the full reading and
// read_digest() say the same.
#include "digests.hpp"
#include "guarded.hpp"
#include "message_builder.hpp"

#include "viaduct/sip/message.hpp"

#include <fstream>
#include <glob.h>
#include <gtest/gtest.h>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {
namespace {

/// Asks everything of a message and checks that every answer lies where it must.
class Reader {
public:
    explicit Reader(std::span<const std::byte> payload)
        : payload_(reinterpret_cast<const char*>(payload.data()), payload.size()) {}

    void read(const SipMessage& message) {
        expect_inside(message.method_text());
        expect_inside(message.reason());
        read_uri_of(message.request_uri());
        const char* last = payload_.data();
        for (const HeaderField& field : message.fields()) {
            expect_inside(field.lines);
            EXPECT_GE(field.lines.data(), last) << "fields go forward";
            last = field.lines.data() + field.lines.size();
            EXPECT_TRUE(lies_in(field.name, field.lines) && lies_in(field.value, field.lines));
            ASSERT_TRUE(message.first(field.name)) << field.name;
            EXPECT_EQ(message.first(field.name)->id, field.id);
        }
        for (std::size_t i = 1; i < count_of<HeaderId>(); ++i)
            read_values(message, static_cast<HeaderId>(i));
        const Body body = message.body();
        expect_inside(body.bytes);
        EXPECT_TRUE(message.has_empty_line() || body.bytes.empty());
        for (const auto& reference : {message.replaces(), message.join(), message.target_dialog()})
            if (reference) expect_inside(reference->call_id);
        (void)message.max_forwards();
        (void)message.expires();
    }

private:
    static bool lies_in(std::string_view part, std::string_view whole) {
        return part.empty() || (part.data() >= whole.data() &&
                                part.data() + part.size() <= whole.data() + whole.size());
    }
    void expect_inside(std::string_view part) const { EXPECT_TRUE(lies_in(part, payload_)); }

    void read_parameters(const Parameters& parameters) const {
        const char* last = payload_.data();
        for (const Parameter& parameter : parameters) {
            expect_inside(parameter.name);
            expect_inside(parameter.value);
            EXPECT_GE(parameter.name.data(), last) << "parameters go forward";
            last = parameter.name.data() + parameter.name.size();
        }
    }
    void read_uri_of(std::string_view text) const {
        expect_inside(text);
        const Uri uri = read_uri(text);
        for (const std::string_view part : {uri.scheme_text(),
                                            uri.rest(),
                                            uri.headers(),
                                            uri.user().value_or(""),
                                            uri.host().text,
                                            uri.password().value_or("")})
            EXPECT_TRUE(lies_in(part, text));
        EXPECT_TRUE(!uri.readable() || uri.scheme() != UriScheme::Sip || uri.host().readable());
        (void)uri.port();
        read_parameters(uri.parameters());
    }
    void read_values(const SipMessage& message, HeaderId id) const {
        const char* last = payload_.data();
        std::size_t count = 0;
        for (const std::string_view value : message.values(id)) {
            expect_inside(value);
            EXPECT_GE(value.data(), last) << "values go forward";
            last = value.data() + value.size();
            ++count;
            const NameAddr addr = read_name_addr(value);
            expect_inside(addr.display_name());
            expect_inside(addr.tag());
            read_uri_of(addr.uri());
            read_parameters(addr.parameters());
            const Via via = read_via(value);
            for (const std::string_view part : {via.protocol(),
                                                via.version(),
                                                via.transport(),
                                                via.host().text,
                                                via.branch(),
                                                via.received(),
                                                via.maddr()})
                EXPECT_TRUE(lies_in(part, value));
            EXPECT_TRUE(!via.readable() || via.host().readable());
            EXPECT_TRUE(via.has_rport() || via.rport().reading == Reading::Absent);
            (void)via.port();
            (void)via.ttl();
        }
        EXPECT_EQ(count > 0, message.first(id).has_value());
        EXPECT_LE(count, payload_.size());
    }

    std::string_view payload_;
};

/// Where both read the same field they say the same.
void expect_agreement(const SipMessage& message, const SipDigest& digest) {
    ASSERT_EQ(message.kind(), digest.kind);
    if (digest.kind == PayloadKind::KeepAlive || digest.kind == PayloadKind::Stun) return;
    EXPECT_EQ(message.method(), digest.method);
    EXPECT_EQ(message.status(), digest.status);
    EXPECT_EQ(message.call_id(), digest.call_id);
    // Behind so many marks a parameter is absent for the digest.
    const auto is_read_whole = [&](HeaderId id) {
        const auto field = message.first(id);
        return !field || has_few_marks(field->value);
    };
    if (is_read_whole(HeaderId::From)) {
        EXPECT_EQ(message.from() ? message.from()->tag() : "", digest.from_tag);
    }
    if (is_read_whole(HeaderId::To)) {
        EXPECT_EQ(message.to() ? message.to()->tag() : "", digest.to_tag);
    }
    EXPECT_EQ(digest.has_to_tag, !digest.to_tag.empty());
    EXPECT_EQ(message.cseq(), digest.cseq);
    if (is_read_whole(HeaderId::Via)) {
        EXPECT_EQ(message.top_via() ? message.top_via()->branch() : "", digest.top_via_branch);
    }
}

void expect_lawful(std::string_view text) {
    const auto payload = guarded(text);
    const SipMessage message(payload);
    Reader(payload).read(message);
    for (const bool lenient : {true, false}) // a defect ends the digest's reading
        if (const SipDigest digest = read_digest(payload, {.lenient = lenient});
            digest.defect == Defect::None)
            expect_agreement(message, digest);
}

std::vector<std::string> corpus() {
    std::vector<std::string> messages;
    glob_t found{};
    if (::glob(VIADUCT_CORPUS "/*.sip", 0, nullptr, &found) == 0)
        for (std::size_t i = 0; i < found.gl_pathc; ++i) {
            std::ifstream file(found.gl_pathv[i], std::ios::binary);
            messages.emplace_back(std::istreambuf_iterator<char>(file),
                                  std::istreambuf_iterator<char>());
        }
    ::globfree(&found);
    return messages;
}

/// The corpus and messages with all that the full reading knows.
std::vector<std::string> samples() {
    std::vector<std::string> messages = corpus();
    messages.push_back(
        invite()
            .line(
                "v: SIP / 2.0 / UDP [2001:db8::1] : 5 ; x=\"a,\\\"\" ; branch = z9hG4bKa , b;rport")
            .line("Route: \"a,\" <sip:u;x?y:p@[2001:db8::2]:1;lr;maddr=192.0.2.1?h=v>;x=\"<\" , "
                  "sip:b")
            .line("m: *")
            .line("Refer-To: <tel:+1-2;a=b?Replaces=x%3By>")
            .line("Replaces: a@b;to-tag=1;from-tag=2;early-only")
            .line("Require:\r\n a ,b,\r\n ,")
            .body("v=0\r\n\r\nt: x;tag=1\r\n")
            .text());
    messages.push_back(response(200, "OK").line_end("\n").text());
    return messages;
}

TEST(SipMessageUnderAttack, AgreesWithTheDigestOnTheCorpus) {
    ASSERT_GE(corpus().size(), 25U) << "looked in " << VIADUCT_CORPUS;
    for (const std::string& text : samples()) {
        SCOPED_TRACE(text);
        expect_lawful(text);
    }
}

TEST(SipMessageUnderAttack, ReadsMessagesCutAnywhere) {
    for (const std::string& text : samples()) {
        const std::size_t step = text.size() > 2'000 ? 41 : 1;
        for (std::size_t length = 0; length <= text.size(); length += step) {
            expect_lawful(std::string_view(text).substr(0, length));
            ASSERT_FALSE(HasFailure()) << text.substr(0, length);
        }
    }
}

TEST(SipMessageUnderAttack, ReadsMutatedMessagesLawfully) {
    std::mt19937 random(3'261);
    const std::vector<std::string> messages = samples();
    constexpr std::string_view kTokens[] = {
        "\r\n",  "\n",       "\r",    " ",       "\t",      ":",    ";",    ",",
        "\"",    "<",        ">",     "=",       "\\",      "@",    "?",    "[",
        "]",     "/",        "\r\n ", "i:",      "\nv:",    "\nt:", "\nf:", ";tag",
        ";tag=", ";branch=", "To ",   "\nCSeq:", "SIP/2.0", "CSeq", "\n\n"};
    for (int round = 0; round < 60'000; ++round) {
        std::string text = messages[random() % messages.size()];
        if (text.size() > 2'000) text.resize(2'000);
        for (auto change = random() % 8; change > 0 && !text.empty(); --change) {
            const std::size_t at = random() % text.size();
            switch (random() % 4) {
            case 0:
                text[at] = static_cast<char>(random() & 0xff);
                break;
            case 1:
                text.insert(at, kTokens[random() % std::size(kTokens)]);
                break;
            case 2:
                text.erase(at, random() % 16);
                break;
            default: { // in this order, whatever the compiler's is
                const std::size_t from = random() % text.size();
                text.insert(at, text.substr(from, random() % 64));
                break;
            }
            }
        }
        expect_lawful(text);
        ASSERT_FALSE(HasFailure()) << text;
    }
}

TEST(SipMessageUnderAttack, ReadsTheLongestDatagramOfAnyShape) {
    const std::string first = "INVITE sip:b@example.org SIP/2.0\r\n";
    for (const std::string unit : {"\r\n ",  ",",      "\r\n", "Via: a\r\n", "v:a,\r\n b\r\n",
                                   "\"",     "<",      ";",    ";a=<",       ";a=\"",
                                   ";a=b\"", "; ",     "=",    ":",          "@",
                                   "\\",     "a:\r\n", "<>",   "\"\"",       "t:<\r\n",
                                   " ",      "x",      "\x01"}) {
        for (const std::string& start : {first,
                                         first + "To: ",
                                         first + "Via: ",
                                         first + "m: <",
                                         first + "Via: SIP/2.0/UDP a;x=",
                                         first + "Route: <sip:",
                                         std::string("INVITE sip:"),
                                         std::string()}) {
            std::string text = start;
            while (text.size() + unit.size() <= 65'507)
                text += unit;
            expect_lawful(text);
            ASSERT_FALSE(HasFailure()) << start << unit;
        }
    }
}

} // namespace
} // namespace viaduct::test
