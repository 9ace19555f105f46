// SPDX-License-Identifier: Apache-2.0
#include "fuzz_input.hpp"

#include "viaduct/message.hpp"

#include <sofia-sip/msg.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace viaduct;
    using namespace viaduct::fuzz;
    const auto payload = std::as_bytes(std::span(data, size));
    const SipDigest digest = read_digest(payload);
    if (digest.kind != PayloadKind::Request && digest.kind != PayloadKind::Response) return 0;
    if (digest.defect != Defect::None || digest.call_id.empty()) return 0;
    msg_t* parsed = ::msg_make(::sip_default_mclass(), 0, data, static_cast<ssize_t>(size));
    if (parsed == nullptr) return 0;
    const sip_t* sip = ::sip_object(parsed);
    const bool good = sip != nullptr && sip->sip_error == nullptr &&
                      (sip->sip_flags & MSG_FLG_ERROR) == 0 && sip->sip_call_id != nullptr &&
                      (sip->sip_request != nullptr || sip->sip_status != nullptr);
    if (good) {
        if (digest.call_id != sip->sip_call_id->i_id) {
            fprintf(stderr,
                    "ours '%.*s' theirs '%s'\n",
                    int(digest.call_id.size()),
                    digest.call_id.data(),
                    sip->sip_call_id->i_id);
            abort();
        }
    }
    ::msg_destroy(parsed);
    return 0;
}

extern "C" std::size_t
LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
    return viaduct::fuzz::mutate_input(0, data, size, max_size, seed);
}
