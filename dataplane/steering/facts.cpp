// SPDX-License-Identifier: Apache-2.0
#include "steering/facts.hpp"

#include "steering/call_state.hpp"
#include "steering/decide.hpp"

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

Owner owner_of(const SteerInput& in, BackendId id) noexcept {
    return {id, life_of(in, id)};
}

std::optional<BackendId> slot_owner(const Pool& pool, std::uint32_t slot) noexcept {
    return pool.slots ? std::optional((*pool.slots)[slot]) : std::nullopt;
}

Owner oldest_owner(const SteerInput& in, std::uint32_t slot, SlotState state) noexcept {
    const Pool& pool = in.pool;
    if (state == SlotState::Moved && pool.unsettled->old)
        return owner_of(in, (*pool.unsettled->old)[slot]);
    return pool.slots ? owner_of(in, (*pool.slots)[slot]) : Owner{};
}

std::optional<Call> find(const SteerInput& in, std::uint64_t hash) noexcept {
    return in.view.calls.find(hash, in.view.now);
}

/// What is known without the table of calls.
Facts facts_of(const SteerInput& in, std::uint64_t hash) noexcept {
    Facts facts;
    facts.call_id_hash = facts.hash = hash;
    facts.slot = slot_of(hash);
    facts.role = role_of(in.digest);
    facts.method = in.digest.method;
    facts.is_request = in.digest.kind == PayloadKind::Request;
    facts.is_response = in.digest.kind == PayloadKind::Response;
    facts.has_to_tag = in.digest.has_to_tag;
    facts.health_known = in.pool.health_known;
    facts.has_table = in.view.calls.exists();
    facts.has_picker = in.pool.picker != nullptr;
    facts.tracks_all_calls = in.pool.tracks_all_calls;
    facts.shared_state = in.pool.shared_state;
    facts.on_dead_owner = in.pool.on_dead_owner;
    facts.is_between = in.view.is_between;
    return facts;
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

/// Whether it is a NOTIFY outside of any dialog (such as for waiting messages): it is steered by
/// its key.
bool is_unsolicited(const SteerInput& in, std::uint64_t hash) noexcept {
    if (!in.pool.keys || in.digest.kind != PayloadKind::Request ||
        in.digest.method != Method::Notify || in.digest.has_to_tag)
        return false;
    const KeyRule& rule = key_rule(in);
    return rule.type != KeyType::CallId && !find(in, hash) && key_hash(rule, in.received);
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

Facts::Reference reference_to(const SteerInput& in, std::string_view call_id) noexcept {
    Facts::Reference reference{.hash = hash_key(in.pool.call_id_hash, call_id)};
    if (const auto other = find(in, reference.hash)) {
        reference.is_known = true;
        reference.owner = owner_of(in, other->backend);
    }
    return reference;
}

/// Reads the keys and references of a message besides its Call-ID. Later messages of a dialog do
/// not have them, so their calls need a table to be remembered in.
void read_keys(const SteerInput& in, Facts& facts) noexcept {
    const bool starts_dialog = facts.method == Method::Invite ||
                               facts.method == Method::Subscribe || facts.method == Method::Refer;
    if (starts_dialog && !facts.has_table) return;
    if (starts_dialog && in.digest.may_reference_call && may_reference_call(in.received.payload)) {
        const std::string_view other = referenced_call(in.received.payload);
        if (!other.empty()) facts.referenced = reference_to(in, other);
    }
    if (!in.pool.keys) return;
    const KeyRule& rule = key_rule(in);
    const std::optional<std::uint64_t> key = key_hash(rule, in.received);
    if (!key) return;
    if (starts_dialog) {
        facts.key.emplace().hash = *key;
        return;
    }
    // No later message has only the Call-ID: the key replaces it.
    facts.by_key = true;
    facts.hash = *key;
    facts.slot = slot_of(*key);
    if (facts.method != Method::Register || !facts.has_table) return;
    facts.registers = registration_of(in, rule);
    facts.is_heard = info_of(in.pool.mode).returns_through_us && is_in_answers(rule.type);
}

/// Finds the request of a response that was not steered by its Call-ID, or is steered differently
/// now: the backend that got the request may have sent it on.
void look_up_asker(const SteerInput& in, Facts& facts) noexcept {
    if (!in.pool.keys && facts.slot_state != SlotState::Moved && !facts.is_between) return;
    const std::optional<CSeq> cseq = cseq_of(in.digest, in.received.payload);
    if (!cseq || !is_asked_once(cseq->method)) return;
    const auto asker = find(in, answer_hash(in.pool, facts.call_id_hash, *cseq));
    if (!asker || asker->state != CallState::PendingRequest) return;
    facts.call = asker;
    facts.call_life = life_of(in, asker->backend);
    facts.asker = Owner{asker->backend, facts.call_life};
}

bool starts_again(const SteerInput& in, const Facts& facts) noexcept {
    return facts.call->state == CallState::Ended && facts.role == MessageRole::Initial &&
           begins_anew(message_to_call(in, facts), *facts.call);
}

void look_up_call(const SteerInput& in, Facts& facts) noexcept {
    facts.call = find(in, facts.hash);
    if (!facts.call) return;
    const Call& call = *facts.call;
    facts.role = role_in(facts.call, facts.role, facts.method);
    facts.call_life = life_of(in, call.backend);
    facts.starts_again = starts_again(in, facts);
    if (!refreshes(in.digest, facts.role, call)) return;
    const auto& backends = in.view.snapshot.backends;
    facts.is_evacuated =
        index(call.backend) < backends.size() && backends[index(call.backend)].is_evacuating;
}

/// What a message needs to know that its call does not decide.
void look_up_owners(const SteerInput& in, Facts& facts) noexcept {
    const Pool& pool = in.pool;
    facts.now = slot_owner(pool, facts.slot);
    if (facts.role == MessageRole::InCall) {
        if (!facts.call) facts.old = old_owner(in, facts);
        return;
    }
    if (facts.referenced && !facts.referenced->is_known && !pool.picker) {
        // In a pool with a picker, a referenced call that is not remembered does not exist.
        const std::uint32_t slot = slot_of(facts.referenced->hash);
        facts.referenced->owner = oldest_owner(in, slot, slot_state(pool, slot));
    }
    if (!facts.key || rule_of_new(facts) == SteerRule::Referenced) return;
    Facts::Key& key = *facts.key;
    const std::uint32_t slot = slot_of(key.hash);
    key.slot_state = slot_state(pool, slot);
    key.owner = slot_owner(pool, slot);
    if (key.slot_state == SlotState::Settled && !facts.tracks_all_calls && pool.slots) return;
    if (const auto known = find(in, key.hash)) key.registered = owner_of(in, known->backend);
}

/// What it takes to lead the response back; only requests after which nothing but responses follow.
void look_up_way_back(const SteerInput& in, Facts& facts) noexcept {
    if (!facts.is_request || !is_asked_once(facts.method) || !facts.has_table) return;
    if (facts.by_key) {
        const std::uint32_t slot = slot_of(facts.call_id_hash);
        facts.is_asked_once = true;
        if (slot_state(in.pool, slot) == SlotState::Settled && !facts.is_between)
            facts.call_id_owner = slot_owner(in.pool, slot);
        return;
    }
    // Else it is remembered by its Call-ID, or the same backend in any case.
    if (facts.role != MessageRole::Standalone || facts.call || !facts.now ||
        (facts.slot_state != SlotState::Moved && !facts.is_between))
        return;
    const std::optional<std::uint64_t> hash = answer_hash(in, facts.call_id_hash);
    if (!hash) return;
    facts.is_asked_once = true;
    facts.answer_hash = *hash;
    facts.asked = find(in, facts.answer_hash);
    if (facts.asked) facts.asked_life = life_of(in, facts.asked->backend);
}

} // namespace

std::optional<std::uint64_t> answer_hash(const SteerInput& in,
                                         std::uint64_t call_id_hash) noexcept {
    const std::optional<CSeq> cseq = cseq_of(in.digest, in.received.payload);
    if (!cseq) return std::nullopt;
    return answer_hash(in.pool, call_id_hash, *cseq);
}

Owner old_owner(const SteerInput& in, const Facts& facts) noexcept {
    return oldest_owner(in, facts.slot, facts.slot_state);
}

Facts look_up(const SteerInput& in, std::uint64_t hash) noexcept {
    Facts facts = facts_of(in, hash);
    if (facts.role == MessageRole::InCall && is_unsolicited(in, hash))
        facts.role = MessageRole::Standalone;
    if (facts.role != MessageRole::InCall) read_keys(in, facts);
    if (!facts.health_known) {
        facts.call = find(in, facts.hash);
        return facts;
    }
    facts.slot_state = slot_state(in.pool, facts.slot);
    if (facts.is_response) look_up_asker(in, facts);
    if (facts.asker || slot_decides(facts)) [[likely]] {
        facts.now = slot_owner(in.pool, facts.slot);
    } else {
        look_up_call(in, facts);
        if (!call_decides(facts)) look_up_owners(in, facts);
    }
    if (facts.role != MessageRole::InCall) look_up_way_back(in, facts);
    return facts;
}

Facts look_up_outgoing(const SteerInput& in,
                       std::uint64_t hash,
                       BackendId sender,
                       bool other_side) noexcept {
    Facts facts = facts_of(in, hash);
    facts.is_backends = true;
    facts.is_other_side = other_side;
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
    facts.call = find(in, hash);
    if (facts.call) facts.call_life = life_of(in, facts.call->backend);
    return facts;
}

} // namespace viaduct
