// SPDX-License-Identifier: Apache-2.0
#include "peers.hpp"

#include <sofia-sip/msg.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>

namespace viaduct::test {

bool sofia_parses(std::string_view message) {
    msg_t* parsed =
        ::msg_make(::sip_default_mclass(), 0, message.data(), static_cast<ssize_t>(message.size()));
    if (parsed == nullptr) return false;
    const sip_t* sip = ::sip_object(parsed);
    const bool good = sip != nullptr && sip->sip_error == nullptr &&
                      (sip->sip_flags & MSG_FLG_ERROR) == 0 && sip->sip_call_id != nullptr &&
                      (sip->sip_request != nullptr || sip->sip_status != nullptr);
    ::msg_destroy(parsed);
    return good;
}

} // namespace viaduct::test
