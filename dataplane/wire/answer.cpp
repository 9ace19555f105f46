// SPDX-License-Identifier: Apache-2.0
#include "wire/answer.hpp"

#include "sip/text.hpp"

#include "viaduct/sip/message.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace viaduct {

namespace {

constexpr std::string_view kStatusLine = "SIP/2.0 481 No Such Call\r\n";
constexpr std::size_t kHeaders = sizeof(EtherHeader) + sizeof(Ipv4Header) + sizeof(UdpHeader);

/// Text of bounded length.
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

/// The first Via of a field, with what its receiver adds: where it really came from.
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

/// RFC 3261 §8.2.6.2: the To of an answer has a tag, the same for a repeated request.
void put_to(Writer& out, const Snapshot& snapshot, std::string_view to, std::string_view call_id) {
    out << "To: " << to;
    if (read_name_addr(to).tag().empty())
        out << ";tag=v" << static_cast<std::uint32_t>(hash_bytes(snapshot.secret, call_id));
    out << "\r\n";
}

/// Empty: the request cannot be answered. Else the port that the answer goes to.
std::uint16_t put_answer(Writer& out,
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
    // A nat backend names the VIP in its Via: that is where it sent from, for everybody else.
    if (via->has_rport() || via->host().ipv4() == vip) return source.udp_port;
    const Number port = via->port();
    return port.has_value() ? static_cast<std::uint16_t>(port.value) : kSipPort;
}

/// RFC 1071, over an even beginning of a datagram.
std::uint32_t hash_of_text(std::span<const std::byte> bytes) noexcept {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8U : 0U);
    return sum;
}
std::uint16_t folded(std::uint32_t sum) noexcept {
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum & 0xffff);
}

} // namespace

bool answer_gone(const Snapshot& snapshot, const PortView& rx_port, Frame& frame) noexcept {
    if (!frame.vip || frame.length < kHeaders) return false;
    const auto ip = frame.header_at<Ipv4Header>(Frame::kIpOffset);
    const auto udp = frame.header_at<UdpHeader>(frame.udp_offset);
    const Endpoint source{Ipv4Addr{ip.source.host()}, udp.source_port.host()};
    const SipMessage message(frame.payload());
    Writer out(frame.length - kHeaders);
    const Endpoint vip = snapshot.vips[index(*frame.vip)].endpoint;
    const std::uint16_t udp_port = put_answer(out, snapshot, message, source, vip.address);
    if (udp_port == 0 || !out.is_whole()) return false;

    const std::string_view text = out.text();
    auto& ether = frame.header_at<EtherHeader>(0);
    ether.destination = ether.source;
    ether.source = rx_port.mac;
    const auto udp_bytes = static_cast<std::uint16_t>(sizeof(UdpHeader) + text.size());
    auto& ip_out = frame.header_at<Ipv4Header>(Frame::kIpOffset);
    ip_out = {.version_ihl = 0x45,
              .tos = ip.tos,
              .total_length = Be16(static_cast<std::uint16_t>(sizeof(Ipv4Header) + udp_bytes)),
              .identification =
                  ip.identification,          // of a whole datagram it means nothing (RFC 6864)
              .flags_fragment = Be16(0x4000), // whole, and to stay so
              .ttl = 64,
              .protocol = kIpProtocolUdp,
              .checksum = Be16(0),
              .source = Be32(vip.address.value),
              .destination = Be32(source.address.value)};
    const std::span<std::byte> bytes(frame.bytes, frame.length);
    ip_out.checksum =
        Be16(folded(hash_of_text(bytes.subspan(Frame::kIpOffset, sizeof(Ipv4Header)))));
    frame.udp_offset = Frame::kIpOffset + sizeof(Ipv4Header);
    frame.payload_length = static_cast<std::uint16_t>(text.size());
    auto& udp_out = frame.header_at<UdpHeader>(frame.udp_offset);
    udp_out = {Be16(vip.udp_port), Be16(udp_port), Be16(udp_bytes), Be16(0)};
    std::memcpy(frame.bytes + kHeaders, text.data(), text.size());
    constexpr std::size_t kAddresses =
        8; // of the pseudo-header (RFC 768), with protocol and length
    const std::uint16_t sum =
        folded(hash_of_text(bytes.subspan(Frame::kIpOffset + 12, kAddresses)) + kIpProtocolUdp +
               udp_bytes + hash_of_text(bytes.subspan(frame.udp_offset, udp_bytes)));
    udp_out.checksum = Be16(sum == 0 ? std::uint16_t{0xffff} : sum);
    frame.length = static_cast<std::uint32_t>(kHeaders + text.size());
    frame.tx_port = frame.rx_port;
    return true;
}

} // namespace viaduct
