// SPDX-License-Identifier: Apache-2.0
#include "peers.hpp"

// libre's headers need these, and do not say so.
#include <re/re.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

namespace viaduct::test {

bool libre_parses(std::string_view message) {
    static struct mbuf* const buffer = ::mbuf_alloc(1); // lent the bytes of each message in turn
    if (buffer == nullptr) return false;
    std::uint8_t* const own = buffer->buf;
    buffer->buf = reinterpret_cast<std::uint8_t*>(const_cast<char*>(message.data()));
    buffer->size = buffer->end = message.size();
    buffer->pos = 0;
    struct sip_msg* parsed = nullptr;
    const bool good = ::sip_msg_decode(&parsed, buffer) == 0;
    ::mem_deref(parsed);
    buffer->buf = own;
    return good;
}

} // namespace viaduct::test
