// SPDX-License-Identifier: Apache-2.0
//
// netlink: libnl's sockets and messages, with the kernel's errno instead of libnl's codes.
#include "host/netlink.hpp"

#include "viaduct/error.hpp"

#include <exception>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <new>
#include <sys/socket.h>
#include <unistd.h>

namespace viaduct {
namespace {

constexpr int kEventBufferBytes = 4 * 1024 * 1024;
constexpr int kRoundsPerDrain = 256; // a storm of events must not hold up the loop for long

struct Receiver {
    const Netlink::OnMessage& on_message;
    std::exception_ptr thrown; // must not pass through libnl's C frames
};

int hand_over(nl_msg* message, void* to) {
    auto& receiver = *static_cast<Receiver*>(to);
    if (receiver.thrown) return NL_OK; // the rest of a dump must be read anyway
    try {
        receiver.on_message(nlmsg_hdr(message));
    } catch (...) {
        receiver.thrown = std::current_exception();
    }
    return NL_OK;
}

int keep_error(sockaddr_nl*, nlmsgerr* answer, void* error) {
    *static_cast<int*>(error) = -answer->error;
    return NL_STOP;
}

} // namespace

nl_msg* NetlinkMessage::make(int type, int flags, const void* header, std::size_t size) {
    nl_msg* message = nlmsg_alloc_simple(type, flags | NLM_F_REQUEST);
    if (message == nullptr) throw std::bad_alloc();
    // A new message has one page, so the header always fits.
    nlmsg_append(message, const_cast<void*>(header), size, NLMSG_ALIGNTO);
    return message;
}

NetlinkMessage& NetlinkMessage::add_bytes(int attribute, const void* bytes, std::size_t size) {
    if (nla_put(message_.get(), attribute, static_cast<int>(size), bytes) < 0)
        throw std::bad_alloc();
    return *this;
}

NetlinkMessage& NetlinkMessage::add_all(const NetlinkAttributes& attributes) {
    if (nlmsg_append(message_.get(),
                     const_cast<void*>(attributes.data()),
                     attributes.size(),
                     NLMSG_ALIGNTO) < 0)
        throw std::bad_alloc();
    return *this;
}

NetlinkMessage& NetlinkMessage::open(int attribute) {
    nlattr* nest = nla_nest_start(message_.get(), attribute);
    if (nest == nullptr) throw std::bad_alloc();
    open_.push_back(nest);
    return *this;
}

NetlinkMessage& NetlinkMessage::close() {
    nla_nest_end(message_.get(), open_.back());
    open_.pop_back();
    return *this;
}

NetlinkAttributes::NetlinkAttributes(const nlmsghdr* message, std::size_t header_size)
    : bytes_(nlmsg_attrdata(message, static_cast<int>(header_size))), size_(0) {
    const int size = nlmsg_attrlen(message, static_cast<int>(header_size));
    if (size > 0) size_ = static_cast<std::size_t>(size);
}

const nlattr* NetlinkAttributes::find(int attribute) const {
    if (bytes_ == nullptr || size_ == 0) return nullptr;
    return nla_find(static_cast<const nlattr*>(bytes_), static_cast<int>(size_), attribute);
}

NetlinkAttributes NetlinkAttributes::inside(int attribute) const {
    const nlattr* found = find(attribute);
    if (found == nullptr) return NetlinkAttributes(static_cast<const void*>(nullptr), 0);
    return NetlinkAttributes(static_cast<const void*>(nla_data(found)), size_of(found));
}

Netlink::Netlink() : socket_(nl_socket_alloc()) {
    if (!socket_ || nl_connect(socket_.get(), NETLINK_ROUTE) < 0)
        throw Error(std::string("cannot open an rtnetlink socket: ") + std::strerror(errno));
    // Enables filtering of dumps in the kernel. Kernels without it send more, which is skipped.
    const int on = 1;
    setsockopt(fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    nl_socket_modify_err_cb(socket_.get(), NL_CB_CUSTOM, keep_error, &error_);
}

int Netlink::receive(const OnMessage& on_message) {
    error_ = 0;
    Receiver receiver{on_message, nullptr};
    nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_CUSTOM, hand_over, &receiver);
    const int result = nl_recvmsgs_default(socket_.get());
    nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_DEFAULT, nullptr, nullptr);
    if (receiver.thrown) std::rethrow_exception(receiver.thrown);
    return result;
}

int Netlink::request(const NetlinkMessage& message) {
    if (nl_send_auto(socket_.get(), message.get()) < 0) return EIO;
    error_ = 0;
    const int result = nl_wait_for_ack(socket_.get());
    if (error_ != 0) return error_;
    return result < 0 ? EIO : 0;
}

int Netlink::dump(const NetlinkMessage& message, const OnMessage& on_message) {
    nl_socket_disable_auto_ack(socket_.get());
    const int sent = nl_send_auto(socket_.get(), message.get());
    nl_socket_enable_auto_ack(socket_.get());
    if (sent < 0) return EIO;
    const int result = receive(on_message);
    if (error_ != 0) return error_;
    if (result == -NLE_DUMP_INTR) return EINTR;
    return result < 0 ? EIO : 0;
}

void Netlink::subscribe(std::initializer_list<int> groups) {
    nl_socket_disable_seq_check(socket_.get());
    bool good = nl_socket_set_nonblocking(socket_.get()) == 0;
    for (const int group : groups)
        good = good && nl_socket_add_membership(socket_.get(), group) == 0;
    if (!good) throw Error("cannot subscribe to rtnetlink route and neighbour events");
    // The larger buffer is optional: without it a storm of changes costs another dump.
    setsockopt(fd(), SOL_SOCKET, SO_RCVBUFFORCE, &kEventBufferBytes, sizeof kEventBufferBytes);
}

bool Netlink::drain(const OnMessage& on_message) {
    for (int round = 0; round < kRoundsPerDrain; ++round) {
        const int result = receive(on_message);
        if (result == -NLE_AGAIN) return true;
        if (result < 0) return false;
    }
    return true; // the rest is still readable, so the loop comes back
}

int write_sysctl(const std::string& path, const std::string& value) noexcept {
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    const ssize_t written = write(file, value.data(), value.size());
    const int error = written < 0 ? errno : 0;
    close(file);
    return error;
}

std::optional<unsigned> read_sysctl(const std::string& path) noexcept {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    char digit = 0;
    const ssize_t got = read(file, &digit, 1);
    close(file);
    if (got != 1 || digit < '0' || digit > '9') return std::nullopt;
    return static_cast<unsigned>(digit - '0');
}

} // namespace viaduct
