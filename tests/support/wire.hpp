// SPDX-License-Identifier: Apache-2.0
//
// wire: a new network namespace, a TAP made as the data plane makes it, and stations on its other
// side that answer ARP.
#pragma once

#include "loop.hpp"

#include "viaduct/net.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <map>
#include <net/if.h>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace viaduct::test {

/// Moves this process into a new, empty network namespace. False: not permitted here.
[[nodiscard]] inline bool enter_new_network() {
    return geteuid() == 0 && unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
}

/// Runs a shell command. Returns its output, and its exit status in `status` if given.
[[nodiscard]] inline std::string shell(const std::string& command, int* status = nullptr) {
    std::string output;
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
    std::array<char, 4096> part{};
    while (const std::size_t got = fread(part.data(), 1, part.size(), pipe))
        output.append(part.data(), got);
    const int result = pclose(pipe);
    if (status != nullptr) *status = result;
    return output;
}

/// Runs a shell command that must succeed.
inline void run(const std::string& command) {
    int status = 0;
    const std::string output = shell(command, &status);
    if (status != 0) throw std::runtime_error(command + ": " + output);
}

struct ArpFrame { // RFC 826 over Ethernet
    EtherHeader ether;
    Be16 hardware_type;
    Be16 protocol_type;
    std::uint8_t hardware_length;
    std::uint8_t protocol_length;
    Be16 operation; ///< 1 request, 2 reply
    MacAddr sender_mac;
    Be32 sender;
    MacAddr target_mac;
    Be32 target;
};
static_assert(sizeof(ArpFrame) == 42);

class Wire {
public:
    explicit Wire(const std::string& twin) : fd_(open("/dev/net/tun", O_RDWR | O_NONBLOCK)) {
        ifreq request{};
        request.ifr_flags = IFF_TAP | IFF_NO_PI;
        twin.copy(request.ifr_name, IFNAMSIZ - 1);
        if (fd_ < 0 || ioctl(fd_, TUNSETIFF, &request) != 0)
            throw std::runtime_error("cannot make " + twin + ": " + std::strerror(errno));
    }
    ~Wire() {
        if (loop_ != nullptr) loop_->forget(fd_);
        close(fd_);
    }
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    void live_on(Loop& loop) {
        loop_ = &loop;
        loop.watch(fd_, EPOLLIN, [this](std::uint32_t) { answer(); });
    }

    std::map<Ipv4Addr, MacAddr> stations; ///< stations on the link
    std::map<Ipv4Addr, int> asked;        ///< ARP requests seen, by target
    std::map<Ipv4Addr, MacAddr> asked_at; ///< destination MAC of the last of them
    std::map<Ipv4Addr, int> announced;    ///< gratuitous ARP requests seen (RFC 5227 §3)

    /// Broadcasts the MAC of a station (RFC 5227 §3).
    void announce(Ipv4Addr address, MacAddr mac) {
        stations[address] = mac;
        const MacAddr everybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
        send(arp(1, everybody, address, mac, address, MacAddr{}));
    }

    static ArpFrame arp(std::uint16_t operation,
                        MacAddr destination,
                        Ipv4Addr sender,
                        MacAddr sender_mac,
                        Ipv4Addr target,
                        MacAddr target_mac) {
        return {{destination, sender_mac, Be16(0x0806)},
                Be16(1),
                Be16(kEtherTypeIpv4),
                6,
                4,
                Be16(operation),
                sender_mac,
                Be32(sender.value),
                target_mac,
                Be32(target.value)};
    }

private:
    void send(const ArpFrame& frame) {
        if (write(fd_, &frame, sizeof frame) != static_cast<ssize_t>(sizeof frame))
            throw std::runtime_error("the TAP does not take a frame");
    }
    void answer() {
        std::array<std::byte, 2048> bytes{};
        for (ssize_t got = 0; (got = read(fd_, bytes.data(), bytes.size())) > 0;) {
            if (got < static_cast<ssize_t>(sizeof(ArpFrame))) continue;
            ArpFrame frame;
            std::memcpy(&frame, bytes.data(), sizeof frame);
            if (frame.ether.ether_type != Be16(0x0806) || frame.operation != Be16(1)) continue;
            const Ipv4Addr target{frame.target.host()};
            if (frame.sender == frame.target) {
                ++announced[target];
                continue; // announcements get no answer
            }
            ++asked[target];
            asked_at[target] = frame.ether.destination;
            const auto found = stations.find(target);
            if (found == stations.end()) continue;
            send(arp(2,
                     frame.sender_mac,
                     target,
                     found->second,
                     Ipv4Addr{frame.sender.host()},
                     frame.sender_mac));
        }
    }

    int fd_;
    Loop* loop_ = nullptr;
};

} // namespace viaduct::test
