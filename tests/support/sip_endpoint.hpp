// SPDX-License-Identifier: Apache-2.0
//
// sip_endpoint: shared by both ends of the strict phone: addresses, messages, a socket with
// retransmissions.
//
// In:    datagrams from the other end, or from stations that it must not hear.
// Out:   Message; violations are counted and printed to stderr.
// Spec:  RFC 3261 §8.2.6.2 (answers), §17.1 (timers; T1 = 500 ms). Only long header names and no
//        folding, as our own ends write.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace viaduct::test {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kT1{500};
constexpr milliseconds kT2{4000};

struct Address {
    std::uint32_t ip = 0; // both in network order
    std::uint16_t port = 0;
    bool operator==(const Address&) const = default;
};

[[noreturn]] inline void die(const std::string& text) {
    std::fprintf(stderr, "strict_phone: %s\n", text.c_str());
    std::exit(1);
}

inline std::string to_string(const Address& address) {
    const in_addr ip{address.ip};
    return std::string(inet_ntoa(ip)) + ":" + std::to_string(ntohs(address.port));
}

/// Reads e.g. "198.51.100.10:5060"; the default port is 5060.
inline std::optional<Address> parse_address(std::string_view text) {
    const auto colon = text.find(':');
    in_addr ip{};
    if (inet_aton(std::string(text.substr(0, colon)).c_str(), &ip) == 0) return std::nullopt;
    const int port =
        colon == text.npos ? 5060 : std::atoi(std::string(text.substr(colon + 1)).c_str());
    if (port <= 0 || port > 65535) return std::nullopt;
    return Address{ip.s_addr, htons(static_cast<std::uint16_t>(port))};
}

/// Returns the URI in `<...>`, or the whole value without parameters (RFC 3261 §20.10).
inline std::string uri_of(std::string_view value) {
    const auto open = value.find('<');
    if (open == value.npos) return std::string(value.substr(0, value.find(';')));
    return std::string(value.substr(open + 1, value.find('>') - open - 1));
}

inline std::optional<Address> address_of_uri(std::string_view uri) {
    if (!uri.starts_with("sip:")) return std::nullopt;
    uri.remove_prefix(4);
    if (const auto at = uri.find('@'); at != uri.npos) uri.remove_prefix(at + 1);
    return parse_address(uri.substr(0, uri.find_first_of(";?")));
}

/// Returns a parameter of a header value, e.g. tag of To; empty when it is missing.
inline std::string parameter(std::string_view value, std::string_view name) {
    const auto at = value.find(";" + std::string(name) + "=", value.find('>') + 1);
    if (at == value.npos) return {};
    value.remove_prefix(at + name.size() + 2);
    return std::string(value.substr(0, value.find(';')));
}

struct Message {
    std::string method; ///< of a response: the method of its CSeq
    std::string uri;
    int status = 0; ///< 0: a request
    unsigned cseq = 0;
    std::vector<std::pair<std::string, std::string>> headers;

    std::string get(std::string_view name) const {
        for (const auto& [key, value] : headers)
            if (key == name) return value;
        return {};
    }
    std::string id() const { return get("Call-ID"); }
    /// Returns the address that the sender of a request states: sent-by of the top Via.
    std::optional<Address> sent_by() const {
        const std::string via = get("Via");
        const auto blank = via.find(' ');
        if (blank == via.npos) return std::nullopt;
        return parse_address(std::string_view(via).substr(blank + 1, via.find(';') - blank - 1));
    }
};

inline std::optional<Message> parse(std::string_view text) {
    Message message;
    std::string_view first = text.substr(0, text.find("\r\n"));
    for (text.remove_prefix(std::min(first.size() + 2, text.size())); !text.starts_with("\r\n");) {
        const auto end = text.find("\r\n");
        const auto colon = text.find(':');
        if (end == text.npos || colon >= end) return std::nullopt;
        const auto value = text.find_first_not_of(' ', colon + 1);
        message.headers.emplace_back(text.substr(0, colon), text.substr(value, end - value));
        text.remove_prefix(end + 2);
    }
    const std::string cseq = message.get("CSeq");
    const auto blank = cseq.find(' ');
    if (blank == cseq.npos || message.id().empty() || message.get("Via").empty())
        return std::nullopt;
    message.cseq = static_cast<unsigned>(std::atoi(cseq.c_str()));
    message.method = cseq.substr(blank + 1);
    if (first.starts_with("SIP/2.0 ")) {
        message.status = std::atoi(std::string(first.substr(8, 3)).c_str());
    } else {
        if (!first.starts_with(message.method + " ") || !first.ends_with(" SIP/2.0"))
            return std::nullopt;
        first.remove_prefix(message.method.size() + 1);
        message.uri = first.substr(0, first.find(' '));
    }
    return message;
}

/// A message that is repeated until something stops it (timers A, E and G of RFC 3261 §17).
struct Repeat {
    std::string text;
    Address to;
    Clock::time_point next;
    milliseconds wait = kT1;
};

/// Shared by both ends: the socket, the clock, the count of violations.
class Phone {
public:
    explicit Phone(const Address& self) : self_(self), socket_(socket(AF_INET, SOCK_DGRAM, 0)) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = self.ip;
        name.sin_port = self.port;
        if (bind(socket_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
            die("cannot bind " + to_string(self) + ": " + std::strerror(errno));
        std::array<unsigned char, 8> random{};
        if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
            die("no random numbers");
        for (const unsigned byte : random)
            seed_ += std::to_string(byte + 256).substr(0, 3);
    }
    ~Phone() { close(socket_); }
    Phone(const Phone&) = delete;
    Phone& operator=(const Phone&) = delete;

protected:
    void send(const std::string& text, const Address& to) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = to.ip;
        name.sin_port = to.port;
        if (sendto(socket_,
                   text.data(),
                   text.size(),
                   0,
                   reinterpret_cast<const sockaddr*>(&name),
                   sizeof name) < 0)
            violation("cannot send to " + to_string(to) + ": " + std::strerror(errno));
    }
    std::optional<Repeat> send_repeatedly(std::string text, const Address& to) {
        send(text, to);
        return Repeat{std::move(text), to, Clock::now() + kT1};
    }
    void repeat_if_due(std::optional<Repeat>& repeat, Clock::time_point now) {
        if (!repeat || now < repeat->next) return;
        send(repeat->text, repeat->to);
        ++retransmissions_;
        repeat->wait = std::min(2 * repeat->wait, kT2);
        repeat->next = now + repeat->wait;
    }

    /// Waits at most 10 ms; then passes on all messages that have arrived.
    template <typename Handler> void receive(Handler handle) {
        pollfd ready{socket_, POLLIN, 0};
        if (poll(&ready, 1, 10) <= 0) return;
        std::array<char, 65536> buffer;
        sockaddr_in name{};
        socklen_t length = sizeof name;
        for (;;) {
            const ssize_t size = recvfrom(socket_,
                                          buffer.data(),
                                          buffer.size(),
                                          MSG_DONTWAIT,
                                          reinterpret_cast<sockaddr*>(&name),
                                          &length);
            if (size < 0) return;
            const Address from{name.sin_addr.s_addr, name.sin_port};
            const auto message = parse({buffer.data(), static_cast<std::size_t>(size)});
            if (message)
                handle(*message, from);
            else
                violation("not SIP as we write it, from " + to_string(from));
        }
    }

    void violation(const std::string& text) {
        if (++violations_ <= 20)
            std::fprintf(stderr, "strict_phone: violation: %s\n", text.c_str());
    }
    std::string fresh(const char* prefix) { return prefix + seed_ + std::to_string(++fresh_); }

    /// Returns the answer to a request, with its Via, From, To, Call-ID and CSeq (RFC 3261
    /// §8.2.6.2).
    static std::string answer(const Message& request,
                              const std::string& status_line,
                              const std::string& to,
                              const std::string& more = {}) {
        return "SIP/2.0 " + status_line + "\r\nVia: " + request.get("Via") +
               "\r\nFrom: " + request.get("From") + "\r\nTo: " + to +
               "\r\nCall-ID: " + request.id() + "\r\nCSeq: " + request.get("CSeq") + "\r\n" + more +
               "Content-Length: 0\r\n\r\n";
    }
    /// Returns a request from us; its answer is to be sent to `via`.
    std::string request(const std::string& method,
                        const std::string& uri,
                        const Address& via,
                        const std::string& from,
                        const std::string& to,
                        const std::string& id,
                        unsigned cseq,
                        const std::string& more = {}) {
        return method + " " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP " + to_string(via) +
               ";branch=" + fresh("z9hG4bK") + "\r\nMax-Forwards: 70\r\nFrom: " + from +
               "\r\nTo: " + to + "\r\nCall-ID: " + id + "\r\nCSeq: " + std::to_string(cseq) + " " +
               method + "\r\n" + more + "Content-Length: 0\r\n\r\n";
    }

    Address self_;
    unsigned violations_ = 0;
    unsigned retransmissions_ = 0;

private:
    int socket_;
    std::string seed_;
    unsigned fresh_ = 0;
};

} // namespace viaduct::test
