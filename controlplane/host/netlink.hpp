// SPDX-License-Identifier: Apache-2.0
//
// netlink: an rtnetlink socket, the messages it sends and the attributes it reads.
//
// In:    messages built here; answers of the kernel (trusted, but lengths are checked).
// Out:   errno values as the kernel gave them, so that texts name the real cause.
// Cost:  at least one system call per request; control thread only.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace viaduct {

/// A request: the family's header (ifinfomsg, rtmsg, ...) and attributes.
class NetlinkMessage {
public:
    template <typename Header>
    NetlinkMessage(int type, int flags, const Header& header)
        : message_(make(type, flags, &header, sizeof header)) {}

    /// Adds the value as its bytes in memory; Be32 and MacAddr are in wire order.
    template <typename Value>
    requires std::is_trivially_copyable_v<Value> &&
        (!std::is_pointer_v<Value>)NetlinkMessage& add(int attribute, const Value& value) {
        return add_bytes(attribute, &value, sizeof value);
    }
    NetlinkMessage& add(int attribute, const char* text) {
        return add_bytes(attribute, text, std::strlen(text) + 1);
    }
    NetlinkMessage& add_bytes(int attribute, const void* bytes, std::size_t size);
    /// Adds all attributes of another message, unchanged.
    NetlinkMessage& add_all(const class NetlinkAttributes& attributes);
    /// Opens a nest: attributes added until close() are inside this one.
    NetlinkMessage& open(int attribute);
    NetlinkMessage& close();

    [[nodiscard]] nl_msg* get() const noexcept { return message_.get(); }

private:
    struct Free {
        void operator()(nl_msg* message) const noexcept { nlmsg_free(message); }
    };
    static nl_msg* make(int type, int flags, const void* header, std::size_t size);

    std::unique_ptr<nl_msg, Free> message_;
    std::vector<nlattr*> open_;
};

/// The attributes after the header of a message, or inside another attribute.
class NetlinkAttributes {
public:
    NetlinkAttributes(const nlmsghdr* message, std::size_t header_size);
    NetlinkAttributes(const void* bytes, std::size_t size) : bytes_(bytes), size_(size) {}

    /// Returns the value; empty when it is missing or too short.
    template <typename Value> [[nodiscard]] std::optional<Value> get(int attribute) const {
        const nlattr* found = find(attribute);
        if (found == nullptr || size_of(found) < sizeof(Value)) return std::nullopt;
        Value value;
        std::memcpy(&value, nla_data(found), sizeof value);
        return value;
    }
    /// Returns the attributes inside another one; empty attributes when it is missing.
    [[nodiscard]] NetlinkAttributes inside(int attribute) const;
    [[nodiscard]] const void* data() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    [[nodiscard]] const nlattr* find(int attribute) const;
    static std::size_t size_of(const nlattr* attribute) {
        return static_cast<std::size_t>(nla_len(attribute));
    }

    const void* bytes_;
    std::size_t size_;
};

class Netlink {
public:
    /// An exception of the callback leaves dump() or drain() once the answer is read.
    using OnMessage = std::function<void(const nlmsghdr* message)>;

    Netlink(); ///< throws Error when the kernel refuses a socket

    /// Sends and waits for the kernel's answer. Returns 0 or an errno.
    [[nodiscard]] int request(const NetlinkMessage& message);
    /// Same as request(), for a message with NLM_F_DUMP. EINTR: the answer is inconsistent, ask
    /// again.
    [[nodiscard]] int dump(const NetlinkMessage& message, const OnMessage& on_message);

    /// From now on this socket only receives events of `groups` (RTNLGRP_*), through drain().
    /// Throws Error.
    void subscribe(std::initializer_list<int> groups);
    /// Handles the events that have arrived; never waits. False: the kernel had to drop messages.
    [[nodiscard]] bool drain(const OnMessage& on_message);
    [[nodiscard]] int fd() const noexcept { return nl_socket_get_fd(socket_.get()); }

private:
    struct Free {
        void operator()(nl_sock* socket) const noexcept { nl_socket_free(socket); }
    };
    /// Runs one round of nl_recvmsgs. Returns 0 or a negative NLE_*; `error_` holds the kernel's
    /// errno.
    int receive(const OnMessage& on_message);

    std::unique_ptr<nl_sock, Free> socket_;
    int error_ = 0;
};

/// Writes `value` to a file below /proc/sys. Returns 0 or an errno.
[[nodiscard]] int write_sysctl(const std::string& path, const std::string& value) noexcept;
/// Returns the first character of the file as a digit; empty when there is no such file.
[[nodiscard]] std::optional<unsigned> read_sysctl(const std::string& path) noexcept;

} // namespace viaduct
