// SPDX-License-Identifier: Apache-2.0
#include "steering/look_up.hpp"

#include "steering/registration.hpp"

#include "viaduct/steering/keys.hpp"

#include <array>
#include <cstring>

namespace viaduct {

namespace {

/// Methods after which, once the request was sent on, only responses follow.
bool is_asked_once(Method method) noexcept {
    switch (method) {
    case Method::Register:
    case Method::Publish:
    case Method::Options:
    case Method::Message:
    case Method::Notify:
    case Method::Other:
        return true;
    case Method::Invite:
    case Method::Ack:
    case Method::Bye:
    case Method::Cancel:
    case Method::Prack:
    case Method::Subscribe:
    case Method::Info:
    case Method::Refer:
    case Method::Update:
        break;
    }
    return false;
}

const KeyRule& key_rule(const SteerInput& in) noexcept {
    return in.pool.keys->by_method[static_cast<std::size_t>(in.digest.method)];
}

std::uint64_t answer_hash(const Pool& pool, std::uint64_t call_id_hash, const CSeq& cseq) noexcept {
    std::array<char, sizeof(call_id_hash) + sizeof(cseq.number) + 1> key{};
    std::memcpy(key.data(), &call_id_hash, sizeof(call_id_hash));
    std::memcpy(key.data() + sizeof(call_id_hash), &cseq.number, sizeof(cseq.number));
    key.back() = static_cast<char>(cseq.method);
    return hash_key(pool.transaction_hash, {key.data(), key.size()});
}

/// What a REGISTER that is steered by a key asks of the registrations of that key.
Registration registration_of(const SteerInput& in, const KeyRule& rule) noexcept {
    Registration registers = read_registration(in.received.payload);
    // Other registrations of the same sender or header may have further contacts.
    const bool is_address = rule.type == KeyType::Aor || rule.type == KeyType::From;
    if (registers.asks == Registration::Asks::ToRemoveAll && !is_address)
        registers.asks = Registration::Asks::Nothing;
    return registers;
}

ReferenceFacts reference_to(const SteerInput& in, std::string_view call_id) noexcept {
    ReferenceFacts reference{.hash = hash_key(in.pool.call_id_hash, call_id)};
    if (const auto other = find(in, reference.hash)) {
        reference.is_known = true;
        reference.owner = owner_of(in, other->backend);
    }
    return reference;
}

} // namespace

bool is_unsolicited(const SteerInput& in, std::uint64_t hash) noexcept {
    if (!in.pool.keys || in.digest.kind != PayloadKind::Request ||
        in.digest.method != Method::Notify || in.digest.has_to_tag)
        return false;
    const KeyRule& rule = key_rule(in);
    return rule.type != KeyType::CallId && !find(in, hash) && key_hash(rule, in.received);
}

Facts with_keys(const SteerInput& in, Facts facts) noexcept {
    const bool starts_dialog = facts.method == Method::Invite ||
                               facts.method == Method::Subscribe || facts.method == Method::Refer;
    // Later messages of a dialog do not have them: their calls need a table to be remembered in.
    if (starts_dialog && !facts.has_table) return facts;
    if (starts_dialog && in.digest.may_reference_call && may_reference_call(in.received.payload)) {
        const std::string_view other = referenced_call(in.received.payload);
        if (!other.empty()) facts.other().referenced = reference_to(in, other);
    }
    if (!in.pool.keys) return facts;
    const KeyRule& rule = key_rule(in);
    const std::optional<std::uint64_t> key = key_hash(rule, in.received);
    if (!key) return facts;
    if (starts_dialog) {
        facts.other().key.emplace().hash = *key;
        return facts;
    }
    // No later message has only the Call-ID: the key replaces it.
    facts.by_key = true;
    facts.hash = *key;
    facts.slot = slot_of(*key);
    if (facts.method != Method::Register || !facts.has_table) return facts;
    facts.other().registers = registration_of(in, rule);
    facts.other().is_heard = info_of(in.pool.mode).returns_through_us && is_in_answers(rule.type);
    return facts;
}

Facts with_other_owners(const SteerInput& in, Facts facts) noexcept {
    const Pool& pool = in.pool;
    // In a pool with a picker, a referenced call that is not remembered does not exist.
    if (facts.referenced() && !facts.referenced()->is_known && !pool.picker) {
        const std::uint32_t slot = slot_of(facts.referenced()->hash);
        facts.others->referenced->owner = old_owner(in, slot, slot_state(pool, slot));
    }
    if (!facts.key() || rule_of_new(facts) == SteerRule::Referenced) return facts;
    KeyFacts& key = *facts.others->key;
    const std::uint32_t slot = slot_of(key.hash);
    key.slot_state = slot_state(pool, slot);
    key.owner = slot_owner(pool, slot);
    if (key.slot_state == SlotState::Settled && !facts.tracks_all_calls && pool.slots) return facts;
    if (const auto known = find(in, key.hash)) key.registered = owner_of(in, known->backend);
    return facts;
}

Facts with_asker(const SteerInput& in, Facts facts) noexcept {
    const std::optional<CSeq> cseq = cseq_of(in.digest, in.received.payload);
    if (!cseq || !is_asked_once(cseq->method)) return facts;
    const auto asker = find(in, answer_hash(in.pool, facts.call_id_hash, *cseq));
    if (!asker || asker->state != CallState::PendingRequest) return facts;
    facts.call = asker;
    facts.call_life = life_of(in, asker->backend);
    facts.asker = Owner{asker->backend, facts.call_life};
    return facts;
}

WayBack way_back(const SteerInput& in, std::uint64_t call_id_hash, bool by_key) noexcept {
    WayBack way;
    if (!is_asked_once(in.digest.method)) return way;
    if (by_key) {
        const std::uint32_t slot = slot_of(call_id_hash);
        way.is_needed = true;
        if (slot_state(in.pool, slot) == SlotState::Settled && !in.view.is_between)
            way.call_id_owner = slot_owner(in.pool, slot);
        return way;
    }
    const std::optional<std::uint64_t> hash = answer_hash(in, call_id_hash);
    if (!hash) return way;
    way.is_needed = true;
    way.hash = *hash;
    way.asked = find(in, way.hash);
    if (way.asked) way.asked_life = life_of(in, way.asked->backend);
    return way;
}

std::optional<std::uint64_t> answer_hash(const SteerInput& in,
                                         std::uint64_t call_id_hash) noexcept {
    const std::optional<CSeq> cseq = cseq_of(in.digest, in.received.payload);
    if (!cseq) return std::nullopt;
    return answer_hash(in.pool, call_id_hash, *cseq);
}

Facts look_up_outgoing(const SteerInput& in,
                       std::uint64_t hash,
                       BackendId sender,
                       bool other_side) noexcept {
    Facts facts = facts_of(in, hash);
    facts.is_backends = true;
    facts.is_other_side = other_side;
    facts.has_table = in.view.calls.exists();
    facts.tracks_all_calls = in.pool.tracks_all_calls();
    facts.shared_state = in.pool.shared_state;
    facts.slot_state = slot_state(in.pool, facts.slot);
    facts.now = slot_owner(in.pool, facts.slot);
    if (slot_leads_to(facts, sender)) return facts;
    if (facts.is_request && is_asked_once(facts.method) && !other_side)
        if (const auto at = answer_hash(in, hash))
            if (const auto asker = find(in, *at);
                asker && asker->state == CallState::PendingRequest && asker->backend == sender) {
                facts.asker = owner_of(in, sender);
                return facts;
            }
    facts.call = find(in, hash);
    if (!facts.call) return facts;
    facts.call_life = life_of(in, facts.call->backend);
    facts.starts_again = starts_again(in, facts);
    return facts;
}

Facts look_up_entry(const SteerInput& in, std::uint64_t hash) noexcept {
    Facts facts = facts_of(in, hash);
    facts.is_backends = true;
    facts.shared_state = in.pool.shared_state;
    facts.on_dead_owner = in.pool.on_dead_owner;
    facts.call = find(in, hash);
    if (facts.call) facts.call_life = life_of(in, facts.call->backend);
    return facts;
}

} // namespace viaduct
