// SPDX-License-Identifier: Apache-2.0
#include "peers.hpp"

#include <osipparser2/osip_parser.h>

namespace viaduct::test {

bool osip_parses(std::string_view message) {
    [[maybe_unused]] static const int ready = ::parser_init();
    osip_message_t* parsed = nullptr;
    if (::osip_message_init(&parsed) != 0) return false;
    const bool good = ::osip_message_parse(parsed, message.data(), message.size()) == 0;
    ::osip_message_free(parsed);
    return good;
}

} // namespace viaduct::test
