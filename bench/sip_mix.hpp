// SPDX-License-Identifier: Apache-2.0
//
// sip_mix: distinct SIP messages as carriers see them, for benchmarks.
//
// sip_mix(): in equal parts INVITE with SDP, 200 OK with SDP, BYE and REGISTER, 400 to 1,400 bytes,
// shuffled; carrier_mix.hpp: messages that belong together, of more kinds.
// Four kinds of sender (desk phone, softphone, SBC trunk, IMS core) order, spell and fill the
// header fields their own way: canonical, compact and upper-case names, one to three Vias, with or
// without Record-Route, and so on; users, hosts, branches, tags and Call-IDs vary in form and
// length. The same count gives the same messages on every machine: std::mt19937 and no
// distributions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct::test {

enum class MixKind : std::uint8_t {
    Invite,
    Ok, ///< to an INVITE
    Bye,
    Register,
    Ringing,
    Ack,
    ByeOk,
    RegisterOk,
    Options,
    OptionsOk,
};

[[nodiscard]] constexpr bool is_request(MixKind kind) {
    return kind == MixKind::Invite || kind == MixKind::Bye || kind == MixKind::Register ||
           kind == MixKind::Ack || kind == MixKind::Options;
}

struct MixMessage {
    MixKind kind = MixKind::Invite;
    std::string text;
};

/// What a request and its answers share; the requests of a call: all but the Vias and CSeq.
struct Thread {
    std::string call_id;
    std::string from; ///< with its tag
    std::string to;   ///< with its tag, if the message has one
    std::uint32_t cseq = 0;
    std::vector<std::string> vias;
};

class SipMix {
public:
    /// The next message of this kind. No two of one SipMix have the same Call-ID.
    [[nodiscard]] MixMessage next(MixKind kind) {
        for (;;) { // what came out too short or too long is made anew
            MixMessage message{kind, make(kind)};
            if (message.text.size() >= kMinBytes && message.text.size() <= kMaxBytes)
                return message;
        }
    }

    [[nodiscard]] std::uint32_t below(std::size_t limit) {
        return static_cast<std::uint32_t>(random_() % limit);
    }

protected:
    static constexpr std::size_t kMinBytes = 400;
    static constexpr std::size_t kMaxBytes = 1'400;

    enum class Sender : std::uint8_t { DeskPhone, Softphone, Trunk, Ims };
    enum class Spelling : std::uint8_t { Canonical, Compact, Upper };
    struct Field {
        std::string_view name;
        std::string value;
    };

    template <std::size_t Count>
    [[nodiscard]] std::string pick(const std::array<std::string_view, Count>& from) {
        return std::string(from[below(Count)]);
    }
    [[nodiscard]] bool one_in(std::size_t count) { return below(count) == 0; }

    [[nodiscard]] std::string letters(std::string_view alphabet, std::size_t count) {
        std::string text;
        for (std::size_t i = 0; i < count; ++i)
            text += alphabet[below(alphabet.size())];
        return text;
    }
    [[nodiscard]] std::string digits(std::size_t count) { return letters("0123456789", count); }
    [[nodiscard]] std::string hex(std::size_t count) { return letters("0123456789abcdef", count); }
    [[nodiscard]] std::string base64(std::size_t count) {
        return letters("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count);
    }

    [[nodiscard]] std::string address() {
        static constexpr std::array<std::string_view, 3> kNets{
            "192.0.2.", "198.51.100.", "203.0.113."};
        return pick(kNets) + std::to_string(1 + below(254));
    }
    [[nodiscard]] std::string domain() {
        static constexpr std::array<std::string_view, 6> kDomains{
            "example.org",
            "sip.example.com",
            "ims.mnc001.mcc262.3gppnetwork.example",
            "voice.carrier.example",
            "pbx.branch-office.example.net",
            "ex.example"};
        return pick(kDomains);
    }
    [[nodiscard]] std::string host() {
        static constexpr std::array<std::string_view, 4> kHosts{"sbc", "pcscf", "edge-", "gw"};
        if (!one_in(3)) return address();
        return pick(kHosts) + std::to_string(1 + below(99)) + "." + domain();
    }
    [[nodiscard]] std::string host_port() {
        return one_in(3) ? host() : host() + ":" + std::to_string(5060 + below(4'000));
    }
    [[nodiscard]] std::string user() {
        static constexpr std::array<std::string_view, 6> kNames{
            "alice", "bob.smith", "reception", "o.nguyen-meyer", "trunk_0042", "k"};
        switch (below(3)) {
        case 0:
            return "+49" + digits(8 + below(5));
        case 1:
            return digits(3 + below(8));
        default:
            return pick(kNames);
        }
    }
    [[nodiscard]] std::string uri() {
        const std::string plain = "sip:" + user() + "@" + (one_in(2) ? domain() : host_port());
        return one_in(4) ? plain + ";user=phone" : plain;
    }
    [[nodiscard]] std::string name_address() {
        static constexpr std::array<std::string_view, 4> kDisplay{
            "\"Alice Liddell\" ", "Bob ", "\"Reception, 2nd floor; desk\" ", ""};
        return pick(kDisplay) + "<" + uri() + ">";
    }
    [[nodiscard]] std::string tag() {
        return ";tag=" + (one_in(2) ? hex(8 + below(9)) : base64(6) + "-" + digits(9));
    }
    [[nodiscard]] std::string via() {
        std::string value = "SIP/2.0/UDP " + host_port();
        const std::string branch =
            ";branch=z9hG4bK" +
            (one_in(2) ? hex(8 + below(33)) : "-" + digits(6) + "-" + base64(12 + below(20)));
        switch (below(3)) {
        case 0:
            return value + branch + ";rport";
        case 1:
            return value + ";rport=" + std::to_string(1'024 + below(60'000)) +
                   ";received=" + address() + branch;
        default:
            return value + branch;
        }
    }
    [[nodiscard]] std::string call_id() {
        const std::string number = std::to_string(100'000 + count_++); // makes it the only one
        switch (below(5)) {
        case 0:
            return hex(8) + "-" + hex(4) + "-" + hex(4) + "-" + hex(4) + "-" + hex(6) + number;
        case 1:
            return hex(10 + below(22)) + number + "@" + address();
        case 2:
            return "SD" + digits(6) + "-" + hex(32) + number + "-" + hex(7);
        case 3:
            return base64(8 + below(12)) + "." + number + ".." + "@" + domain();
        default:
            return number + digits(4);
        }
    }

    [[nodiscard]] std::string sdp() {
        const std::string at = address();
        std::string text = "v=0\r\no=- " + digits(10) + " " + digits(10) + " IN IP4 " + at +
                           "\r\ns=-\r\nc=IN IP4 " + at + "\r\nt=0 0\r\nm=audio " +
                           std::to_string(16'384 + 2 * below(16'000)) + " RTP/AVP 8 0 101\r\n";
        static constexpr std::array<std::string_view, 6> kLines{"a=rtpmap:8 PCMA/8000\r\n",
                                                                "a=rtpmap:0 PCMU/8000\r\n",
                                                                "a=rtpmap:101 telephone-event/8000"
                                                                "\r\na=fmtp:101 0-16\r\n",
                                                                "a=ptime:20\r\n",
                                                                "a=maxptime:150\r\n",
                                                                "a=sendrecv\r\n"};
        for (const std::string_view line : kLines)
            if (!one_in(3)) text += line;
        return text;
    }

private:
    [[nodiscard]] bool has_extra(MixKind kind) {
        if (kind == MixKind::Ack || kind == MixKind::ByeOk) return one_in(4);
        return kind == MixKind::Bye || kind == MixKind::Ringing ? one_in(2) : !one_in(4);
    }
    /// What a sender of this kind adds, most usual first; how many of them is left to chance.
    void add_extras(std::vector<Field>& fields, MixKind kind, Sender sender) {
        static constexpr std::array<std::string_view, 3> kAllow{
            "INVITE, ACK, CANCEL, BYE, OPTIONS",
            "INVITE,ACK,CANCEL,BYE,NOTIFY,REFER,MESSAGE,OPTIONS,INFO,SUBSCRIBE",
            "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, REFER, NOTIFY, INFO, REGISTER"};
        static constexpr std::array<std::string_view, 4> kAgents{"Deskphone T46U 108.86.0.20",
                                                                 "Softphone/5.19 (Linux; 64 bit)",
                                                                 "SBC-VX 9.2.3 build 41",
                                                                 "Telephony Application Server"};
        static constexpr std::array<std::string_view, 3> kSupported{
            "100rel, timer, replaces",
            "timer,path,replaces",
            "replaces, outbound, gruu, norefersub"};
        std::vector<Field> extras{
            {is_request(kind) ? "User-Agent" : "Server", pick(kAgents)},
            {"Allow", pick(kAllow)},
            {"Supported", pick(kSupported)},
        };
        const bool call = kind == MixKind::Invite || kind == MixKind::Ok;
        if (call) extras.push_back({"Session-Expires", "1800;refresher=uac"});
        if (call) extras.push_back({"Accept", "application/sdp, multipart/mixed"});
        if (kind == MixKind::Invite) extras.push_back({"Min-SE", "90"});
        if (kind == MixKind::Register) extras.push_back({"Path", "<sip:" + host() + ";lr>"});
        if (sender == Sender::Trunk || sender == Sender::Ims) {
            extras.push_back({"P-Asserted-Identity", "<" + uri() + ">"});
            extras.push_back({"Privacy", "none"});
            extras.push_back({"Date", "Thu, 20 Nov 2025 16:04:11 GMT"});
        }
        if (sender == Sender::Ims) {
            extras.push_back(
                {"P-Charging-Vector", "icid-value=\"" + hex(24) + "\";orig-ioi=" + domain()});
            extras.push_back(
                {"P-Access-Network-Info", "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=262010" + hex(12)});
        }
        if (sender == Sender::Softphone && (is_request(kind) || kind == MixKind::Ok))
            extras.push_back(
                {"Authorization",
                 "Digest username=\"" + user() + "\", realm=\"example.org\", nonce=\"" + hex(32) +
                     "\", uri=\"sip:example.org\", response=\"" + hex(32) + "\", algorithm=MD5"});
        for (Field& extra : extras)
            if (has_extra(kind)) fields.push_back(std::move(extra));
    }

    /// To, and CSeq's method.
    [[nodiscard]] static bool has_to_tag(MixKind kind) {
        return kind == MixKind::Ack || kind == MixKind::Bye || !is_request(kind);
    }
    [[nodiscard]] static std::string method(MixKind kind) {
        if (kind == MixKind::Ack) return "ACK";
        if (kind == MixKind::Bye || kind == MixKind::ByeOk) return "BYE";
        if (kind == MixKind::Register || kind == MixKind::RegisterOk) return "REGISTER";
        if (kind == MixKind::Options || kind == MixKind::OptionsOk) return "OPTIONS";
        return "INVITE";
    }

    /// The fields every message has, in this sender's order; a thread's where there is one.
    [[nodiscard]] std::vector<Field>
    core_fields(MixKind kind, Sender sender, const Thread* thread) {
        const bool core = sender == Sender::Trunk || sender == Sender::Ims;
        std::vector<Field> vias;
        for (std::uint32_t left = 1 + below(core ? 3 : 2); left > 0; --left)
            vias.push_back({"Via", via()});
        std::vector<Field> routes;
        if (core && kind != MixKind::Register)
            for (std::uint32_t left = below(3); left > 0; --left)
                routes.push_back(
                    {kind == MixKind::Bye || kind == MixKind::Ack ? "Route" : "Record-Route",
                     "<sip:" + host_port() + ";lr>"});
        Field from{"From", name_address() + tag()};
        Field to{"To", name_address() + (has_to_tag(kind) ? tag() : "")};
        Field id{"Call-ID", call_id()};
        Field cseq{"CSeq",
                   std::to_string(1 + below(one_in(4) ? 900'000 : 300)) + " " + method(kind)};
        Field contact{"Contact",
                      "<sip:" + user() + "@" + host_port() + (one_in(2) ? ";transport=udp>" : ">") +
                          (kind == MixKind::Register ? ";expires=3600" : "")};
        Field forwards{"Max-Forwards", std::to_string(60 + below(11))};
        if (thread != nullptr) {
            vias.clear();
            for (const std::string& value : thread->vias)
                vias.push_back({"Via", value});
            from.value = thread->from;
            to.value = thread->to;
            id.value = thread->call_id;
            cseq.value = std::to_string(thread->cseq) + " " + method(kind);
        }

        std::vector<Field> fields;
        const auto all = [&fields](std::vector<Field>& some) {
            for (Field& field : some)
                fields.push_back(std::move(field));
        };
        const auto these = [&fields](auto&... some) { (fields.push_back(std::move(some)), ...); };
        const bool request = is_request(kind);
        switch (sender) {
        case Sender::DeskPhone:
            all(vias);
            these(from, to, id, cseq, contact);
            break;
        case Sender::Softphone:
            all(vias);
            if (request) these(forwards);
            these(contact, to, from, id, cseq);
            return fields;
        case Sender::Trunk:
            these(from, to, cseq, id);
            if (request) these(forwards);
            all(vias);
            all(routes);
            these(contact);
            return fields;
        case Sender::Ims:
            all(routes);
            all(vias);
            if (request) these(forwards);
            add_extras(fields, kind, sender); // long ones before the Call-ID
            these(from, to, id, cseq, contact);
            return fields;
        }
        if (request) these(forwards);
        return fields;
    }

    [[nodiscard]] static std::string spelled(std::string_view name, Spelling spelling) {
        static constexpr std::array<std::pair<std::string_view, char>, 9> kCompact{
            {{"Via", 'v'},
             {"From", 'f'},
             {"To", 't'},
             {"Call-ID", 'i'},
             {"Contact", 'm'},
             {"Content-Length", 'l'},
             {"Content-Type", 'c'},
             {"Supported", 'k'},
             {"Session-Expires", 'x'}}};
        std::string text(name);
        if (spelling == Spelling::Compact)
            for (const auto& [longer, compact] : kCompact)
                if (longer == name) text = compact;
        if (spelling == Spelling::Upper)
            for (char& c : text)
                if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        return text;
    }

    [[nodiscard]] std::string first_line(MixKind kind) {
        if (kind == MixKind::Ringing) return "SIP/2.0 180 Ringing\r\n";
        if (!is_request(kind)) return "SIP/2.0 200 OK\r\n";
        const bool at_domain = kind == MixKind::Register || kind == MixKind::Options;
        const std::string target = kind == MixKind::Invite ? uri()
                                   : at_domain             ? "sip:" + domain()
                                                           : "sip:" + user() + "@" + host_port();
        return method(kind) + " " + target + " SIP/2.0\r\n";
    }

protected:
    /// A message of any size.
    [[nodiscard]] std::string make(MixKind kind, const Thread* thread = nullptr) {
        const auto sender = static_cast<Sender>(below(4));
        const std::uint32_t roll = below(8);
        const Spelling spelling = roll < 2    ? Spelling::Compact
                                  : roll == 2 ? Spelling::Upper
                                              : Spelling::Canonical;
        std::vector<Field> fields = core_fields(kind, sender, thread);
        if (kind == MixKind::Ack || kind == MixKind::ByeOk)
            std::erase_if(fields, [](const Field& field) { return field.name == "Contact"; });
        if (sender != Sender::Ims) add_extras(fields, kind, sender);
        if (kind == MixKind::Register || kind == MixKind::RegisterOk)
            fields.push_back({"Expires", "3600"});
        std::string body;
        if (kind == MixKind::Invite || kind == MixKind::Ok) {
            body = sdp();
            fields.push_back({"Content-Type", "application/sdp"});
        }
        fields.push_back({"Content-Length", std::to_string(body.size())});

        std::string text = first_line(kind);
        for (const Field& field : fields)
            text += spelled(field.name, spelling) + ": " + field.value + "\r\n";
        return text + "\r\n" + body;
    }

private:
    std::mt19937 random_{3261};
    std::size_t count_ = 0;
};

/// `count` messages, a quarter of each kind, shuffled.
[[nodiscard]] inline std::vector<MixMessage> sip_mix(std::size_t count) {
    SipMix mix;
    std::vector<MixMessage> messages;
    for (std::size_t i = 0; i < count; ++i)
        messages.push_back(mix.next(static_cast<MixKind>(i % 4)));
    for (std::size_t i = count; i > 1; --i)
        std::swap(messages[i - 1], messages[mix.below(i)]);
    return messages;
}

} // namespace viaduct::test
