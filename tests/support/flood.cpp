// SPDX-License-Identifier: Apache-2.0
//
// flood: sends UDP datagrams at a steady rate, for the smoke tests.
//
//   flood IP PORT COUNT RATE [FILE]
//
// Out:   COUNT datagrams of one byte, or of the content of FILE, RATE per second, in a share every
//        millisecond; then "COUNT\n". ICMP errors do not stop it.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/socket.h>
#include <thread>

int main(int argc, char** argv) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    if ((argc != 5 && argc != 6) || inet_aton(argv[1], &to.sin_addr) == 0) {
        std::fprintf(stderr, "usage: flood IP PORT COUNT RATE [FILE]\n");
        return 1;
    }
    std::string text = "x";
    if (argc == 6) {
        std::ifstream file(argv[5], std::ios::binary);
        text.assign(std::istreambuf_iterator<char>(file), {});
        if (!file) {
            std::fprintf(stderr, "flood: cannot read %s\n", argv[5]);
            return 1;
        }
    }
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
    const long count = std::atol(argv[3]);
    const long share = std::max(1L, std::atol(argv[4]) / 1000);
    const int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    auto next = std::chrono::steady_clock::now();
    for (long sent = 0; sent < count; next += std::chrono::milliseconds(1)) {
        for (const long end = std::min(count, sent + share); sent < end;)
            if (sendto(descriptor,
                       text.data(),
                       text.size(),
                       0,
                       reinterpret_cast<sockaddr*>(&to),
                       sizeof to) >= 0)
                ++sent;
            else if (errno != ECONNREFUSED && errno != ENOBUFS) {
                std::perror("flood");
                return 1;
            }
        std::this_thread::sleep_until(next);
    }
    std::printf("%ld\n", count);
    return 0;
}
