// SPDX-License-Identifier: Apache-2.0
#include "shell/punt.hpp"

#include "frame.hpp"

#include "viaduct/error.hpp"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace viaduct {

namespace {

constexpr unsigned kRingEntries = 1024;
/// How long a worker's frame may wait for this thread, which workers cannot wake.
constexpr int kPollMilliseconds = 1;

int open_tap(const PortRequest& port) {
    const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        throw Error("port " + port.name + ": cannot open /dev/net/tun: " + std::strerror(errno) +
                    (errno == ENOENT ? "; load the kernel's tun module (modprobe tun)"
                                     : "; viaductd needs root or CAP_NET_ADMIN"));
    ifreq request{};
    port.twin.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(fd, TUNSETIFF, &request) != 0) {
        const int reason = errno;
        close(fd);
        throw Error("port " + port.name + ": cannot create the TAP interface " + port.twin + ": " +
                    std::strerror(reason) +
                    (reason == EBUSY ? "; another viaductd or program uses it" : ""));
    }
    return fd;
}

rte_ring* create_ring(const std::string& name) {
    rte_ring* ring =
        rte_ring_create(name.c_str(), kRingEntries, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) throw Error("cannot create ring " + name + ": " + rte_strerror(rte_errno));
    return ring;
}

} // namespace

PuntThread::PuntThread(const std::vector<PortRequest>& ports,
                       std::size_t workers,
                       rte_mempool* mempool)
    : mempool_(mempool) {
    try {
        for (const PortRequest& port : ports)
            taps_.push_back(open_tap(port));
        for (std::size_t i = 0; i < workers; ++i)
            to_kernel_.push_back(create_ring("to_kernel" + std::to_string(i)));
        for (std::size_t i = 0; i < ports.size(); ++i)
            from_kernel_.push_back(create_ring("from_kernel" + std::to_string(i)));
    } catch (...) {
        close_all();
        throw;
    }
}

PuntThread::~PuntThread() {
    stopping_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
    close_all();
}

void PuntThread::close_all() noexcept {
    for (const auto& rings : {to_kernel_, from_kernel_})
        for (rte_ring* ring : rings) {
            void* mbuf = nullptr;
            while (rte_ring_dequeue(ring, &mbuf) == 0)
                rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
            rte_ring_free(ring);
        }
    for (const int tap : taps_)
        close(tap);
}

void PuntThread::start() {
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "punt");
}

void PuntThread::set_carrier(std::size_t port, bool on) noexcept {
    int carrier = on ? 1 : 0;
    static_cast<void>(ioctl(taps_[port], TUNSETCARRIER, &carrier)); // fails when the twin is gone
}

void PuntThread::run() {
    std::vector<pollfd> waits;
    for (const int tap : taps_)
        waits.push_back({tap, POLLIN, 0});
    bool busy = false;
    while (!stopping_.load(std::memory_order_relaxed)) {
        poll(waits.data(), waits.size(), busy ? 0 : kPollMilliseconds);
        for (std::size_t port = 0; port < waits.size(); ++port)
            if ((waits[port].revents & POLLIN) != 0) take_from_kernel(port);
        busy = false;
        for (rte_ring* ring : to_kernel_)
            busy |= drain(ring);
        rounds_.fetch_add(1, std::memory_order_release); // pairs with the load in rounds()
    }
}

std::vector<std::uint32_t> PuntThread::marks() const {
    std::vector<std::uint32_t> marks;
    for (const rte_ring* ring : to_kernel_)
        marks.push_back(std::uint32_t{ring->prod.tail});
    return marks;
}

bool PuntThread::has_passed(const std::vector<std::uint32_t>& marks) const noexcept {
    for (std::size_t i = 0; i < marks.size(); ++i) // the counts wrap around
        if (static_cast<std::int32_t>(to_kernel_[i]->cons.tail - marks[i]) < 0) return false;
    return true;
}

bool PuntThread::drain(rte_ring* ring) {
    std::array<void*, kMaxBurst> mbufs{};
    const unsigned count = rte_ring_dequeue_burst(ring, mbufs.data(), mbufs.size(), nullptr);
    for (unsigned i = 0; i < count; ++i) {
        auto* mbuf = static_cast<rte_mbuf*>(mbufs[i]);
        // A TAP that is full or down drops the frame, like a full NIC.
        [[maybe_unused]] const ssize_t written =
            write(taps_[mbuf->port], rte_pktmbuf_mtod(mbuf, const void*), mbuf->data_len);
        rte_pktmbuf_free(mbuf);
    }
    return count > 0;
}

void PuntThread::take_from_kernel(std::size_t port) {
    for (std::size_t i = 0; i < kMaxBurst; ++i) {
        rte_mbuf* mbuf = rte_pktmbuf_alloc(mempool_);
        if (mbuf == nullptr) return; // the TAP keeps the frame until there is a buffer
        const ssize_t length =
            read(taps_[port], rte_pktmbuf_mtod(mbuf, void*), rte_pktmbuf_tailroom(mbuf));
        if (length <= 0) {
            rte_pktmbuf_free(mbuf);
            return;
        }
        mbuf->data_len = static_cast<std::uint16_t>(length);
        mbuf->pkt_len = static_cast<std::uint32_t>(length);
        mbuf->port = static_cast<std::uint16_t>(port);
        if (rte_ring_enqueue(from_kernel_[port], mbuf) != 0) rte_pktmbuf_free(mbuf);
    }
}

} // namespace viaduct
