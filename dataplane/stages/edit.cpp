// SPDX-License-Identifier: Apache-2.0
#include "sip/text.hpp"
#include "stages/stages.hpp"

#include "viaduct/datagram.hpp"
#include "viaduct/sip/message.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace viaduct::stages {

namespace {

constexpr std::string_view kStatusLine = "SIP/2.0 481 No Such Call\r\n";

/// A text of limited length.
class Writer {
public:
    explicit Writer(std::size_t limit) noexcept : limit_(std::min(limit, text_.size())) {}

    Writer& operator<<(std::string_view more) noexcept {
        is_whole_ = is_whole_ && more.size() <= limit_ - size_;
        if (!is_whole_) return *this;
        std::memcpy(text_.data() + size_, more.data(), more.size());
        size_ += more.size();
        return *this;
    }
    Writer& operator<<(std::uint32_t number) noexcept {
        std::array<char, 10> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
        return *this << std::string_view(digits.data(),
                                         static_cast<std::size_t>(end - digits.data()));
    }
    Writer& operator<<(Ipv4Addr address) noexcept {
        for (const unsigned shift : {24U, 16U, 8U, 0U}) {
            *this << (address.value >> shift & 0xff);
            if (shift > 0) *this << ".";
        }
        return *this;
    }
    [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }
    [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), size_}; }

private:
    std::array<char, 2048> text_; // not initialised: the first `size_` are valid
    std::size_t limit_;
    std::size_t size_ = 0;
    bool is_whole_ = true;
};

bool is_rport(std::string_view name) noexcept {
    constexpr std::string_view kRport = "rport";
    if (name.size() != kRport.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i)
        if (sip_text::lower(name[i]) != kRport[i]) return false;
    return true;
}

/// Writes the top Via field, with the source address that a receiver adds to its first value.
void put_top_via(Writer& out, std::string_view field, std::string_view first, Endpoint source) {
    const Via via = read_via(first);
    const auto* const end = first.data() + first.size();
    const char* at = field.data();
    const auto put_until = [&](const char* to) {
        out << std::string_view(at, static_cast<std::size_t>(to - at));
        at = to;
    };
    if (via.has_rport() && via.rport().reading == Reading::Absent)
        for (const Parameter& parameter : via.parameters())
            if (is_rport(parameter.name)) {
                put_until(parameter.name.data() + parameter.name.size());
                out << "=" << std::uint32_t{source.udp_port};
                break;
            }
    put_until(end);
    if (via.has_rport() || via.host().ipv4() != source.address)
        out << ";received=" << source.address;
    put_until(field.data() + field.size());
}

/// Writes To with a tag (RFC 3261 §8.2.6.2); the tag is the same for a retransmission.
void put_to(Writer& out, const Snapshot& snapshot, std::string_view to, std::string_view call_id) {
    out << "To: " << to;
    if (read_name_addr(to).tag().empty())
        out << ";tag=v" << static_cast<std::uint32_t>(hash_bytes(snapshot.secret, call_id));
    out << "\r\n";
}

/// Writes the response; returns the UDP port it goes to. 0: the request cannot be answered.
std::uint16_t put_reply(Writer& out,
                        const Snapshot& snapshot,
                        const SipMessage& message,
                        Endpoint source,
                        Ipv4Addr vip) {
    const auto from = message.first(HeaderId::From);
    const auto to = message.first(HeaderId::To);
    const auto cseq = message.first(HeaderId::CSeq);
    const auto top = message.first(HeaderId::Via);
    const auto via = message.top_via();
    if (!from || !to || !cseq || !top || !via || !via->readable() || message.call_id().empty())
        return 0;
    const std::string_view first = *message.values(HeaderId::Via).begin();
    out << kStatusLine;
    bool is_top = true;
    for (const HeaderField& field : message.fields()) {
        if (field.id != HeaderId::Via) continue;
        out << "Via: ";
        if (std::exchange(is_top, false))
            put_top_via(out, field.value, first, source);
        else
            out << field.value;
        out << "\r\n";
    }
    out << "From: " << from->value << "\r\n";
    put_to(out, snapshot, to->value, message.call_id());
    out << "Call-ID: " << message.call_id() << "\r\nCSeq: " << cseq->value
        << "\r\nContent-Length: 0\r\n\r\n";
    constexpr std::uint16_t kSipPort = 5060;
    // A nat backend names the VIP in its Via, because other stations see its messages come from
    // there.
    if (via->has_rport() || via->host().ipv4() == vip) return source.udp_port;
    const Number port = via->port();
    return port.has_value() ? static_cast<std::uint16_t>(port.value) : kSipPort;
}

} // namespace

std::optional<Outcome> edit(const PipelineView& view, Frame& frame) noexcept {
    const Outcome unanswered = info_of(frame.claim.leg).unanswered;
    if (!frame.claim.vip || frame.length < kUdpHeadersSize) return unanswered;
    const MacAddr sender = frame.header_at<EtherHeader>(0).source;
    const auto ip = frame.header_at<Ipv4Header>(frame.layout.l2_len);
    const auto udp = frame.header_at<UdpHeader>(frame.layout.l4_offset());
    const Endpoint source{Ipv4Addr{ip.source.host()}, udp.source_port.host()};
    const SipMessage message(frame.payload());
    Writer out(frame.length - kUdpHeadersSize);
    const Endpoint vip = view.snapshot.vips[index(*frame.claim.vip)].endpoint;
    const std::uint16_t udp_port = put_reply(out, view.snapshot, message, source, vip.address);
    if (udp_port == 0 || !out.is_whole()) return unanswered;

    const std::string_view text = out.text();
    std::memcpy(frame.bytes + kUdpHeadersSize, text.data(), text.size());
    frame.length = static_cast<std::uint32_t>(kUdpHeadersSize + text.size());
    write_headers({frame.bytes, frame.length},
                  {.source_mac = view.links[index(link_of(frame.rx_port))].mac,
                   .destination_mac = sender,
                   .source = vip,
                   .destination = {source.address, udp_port},
                   .tos = ip.tos,
                   .identification = ip.identification});
    return std::nullopt;
}

} // namespace viaduct::stages
