// SPDX-License-Identifier: Apache-2.0
//
// peers: the parsers we are measured against. Each parses a message whole and frees the result;
// false when it refuses it. Each has a file of its own: their headers do not mix.
#pragma once

#include <string_view>

namespace viaduct::test {

[[nodiscard]] bool osip_parses(std::string_view message);  ///< libosip2, osip_message_parse
[[nodiscard]] bool sofia_parses(std::string_view message); ///< sofia-sip, msg_make
[[nodiscard]] bool libre_parses(std::string_view message); ///< libre, sip_msg_decode

} // namespace viaduct::test
