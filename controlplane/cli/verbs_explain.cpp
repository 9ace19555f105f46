// SPDX-License-Identifier: Apache-2.0
//
// verbs_explain: the backend of a message, and why, from the function that workers call.
//
// In:    Control; a Call-ID, or a whole message in base64. Hostile.
// Out:   Reply, or Error with what exists and what to do.
// Cost:  control thread; nothing changes.
// Spec:  RFC 4648 §4 (base64 of --message-base64).

#include "cli/text.hpp"
#include "cli/verbs_show.hpp"
#include "log.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"

#include "viaduct/error.hpp"
#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/slot_state.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace viaduct {

namespace {

using Json = nlohmann::ordered_json;

/// Decodes as in RFC 4648 §4; padding is required. Throws Error.
std::vector<std::byte> decode_base64(std::string_view text) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    if (text.size() % 4 != 0)
        throw Error("--message-base64: the length of base64 must be a multiple of four");
    std::vector<std::byte> bytes;
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (std::size_t i = 0; i + padding < text.size(); ++i) {
        const std::size_t digit = kAlphabet.find(text[i]);
        if (digit == std::string_view::npos)
            throw Error("--message-base64: invalid base64 at character " + std::to_string(i + 1));
        bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xffffff;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        bytes.push_back(static_cast<std::byte>((bits >> held) & 0xff));
    }
    return bytes;
}

/// Returns why a pool has no table: "b1 (down, enabled), b2 (up, draining)".
std::string states_of(const PoolModel& model, const PoolState& pool) {
    constexpr std::size_t kShown = 8;
    std::string text;
    for (std::size_t i = 0; i < std::min(kShown, pool.backends.size()); ++i) {
        const BackendState& backend = model.backend(pool.backends[i]);
        text += (i == 0 ? "" : ", ") + backend.config.name + " (" +
                std::string(name_of(backend.health)) + ", " + std::string(name_of(backend.admin)) +
                (backend.config.weight == 0 ? ", weight 0)" : ")");
    }
    if (pool.backends.size() > kShown) text += ", ...";
    return text;
}

std::string reason_of(Outcome outcome, const Control& control, const PoolState& pool) {
    std::string reason(info_of(outcome).help);
    if (outcome == Outcome::HealthUnknown || outcome == Outcome::NoBackend)
        reason += ": " + states_of(control.model, pool);
    return reason;
}

/// The part of a message that the pool hashes, when it is not the Call-ID.
struct ExplainedKey {
    std::string name;                    ///< as in the configuration
    std::optional<std::uint32_t> slot{}; ///< empty: the message lacks it
    std::string value{};                 ///< the part that is hashed
};

/// Begins the reason of a message that goes where new calls go.
std::string role_text(MessageRole role) {
    switch (role) {
    case MessageRole::Initial:
        return "initial request: ";
    case MessageRole::Standalone:
        return "standalone request: ";
    case MessageRole::InCall:
        return "in-call message of a call that is not tracked: ";
    }
    return {};
}

/// Returns in words why a message goes to this backend.
std::string reason_of(const Steering& steering,
                      const Backend& backend,
                      const std::optional<ExplainedKey>& key) {
    const std::string slot = "slot " + std::to_string(steering.slot);
    const bool is_by_key = key && key->slot == steering.slot && steering.rule != SteerRule::Key;
    const std::string hashed = is_by_key ? key->name : "Call-ID";
    const std::string starts = role_text(steering.role);
    switch (steering.rule) {
    case SteerRule::Settled:
        return "the keyed hash of the " + hashed + " selects " + slot + ", and " + backend.name +
               " owns it in every generation";
    case SteerRule::Now:
        return starts + backend.name + " owns " + slot + " in the current generation";
    case SteerRule::Old:
        return "in-call message of a call that is not tracked: " + backend.name + " owned " + slot +
               " in the oldest generation in memory";
    case SteerRule::Remembered:
        return "the call is tracked at " + backend.name;
    case SteerRule::DeadOwner:
        return "the call's backend is down: on_dead_owner sends it to " + backend.name;
    case SteerRule::Chosen:
        return starts + "the pool's algorithm would choose " + backend.name + " now";
    case SteerRule::Key:
        return starts + "the keyed hash of its " + (key ? key->name : "key") + " selects slot " +
               (key && key->slot ? std::to_string(*key->slot) : std::string("unknown")) + ", and " +
               backend.name + " owns it; later messages are tracked by Call-ID";
    case SteerRule::Referenced:
        return "the message refers to another call (Replaces, Join or Target-Dialog), which is "
               "at " +
               backend.name;
    case SteerRule::Caller:
        return "sent by a backend: the other side of its call is " + backend.name;
    case SteerRule::Registered:
        return "registered: its " + (key ? key->name : "key") + " is tracked at " + backend.name +
               ", the last place it was registered";
    case SteerRule::Asker:
        return "response to a request that " + backend.name + " has forwarded";
    }
    return "unknown rule; please report this bug";
}

/// Returns in words the state of the slot, and why it is in it.
std::string slot_text(SlotState state) {
    std::string name(name_of(state));
    switch (state) {
    case SlotState::Settled:
        return name + ": all generations in memory name the same owner";
    case SlotState::Moved:
        return name + ": generations in memory, or the announced one, name different owners";
    case SlotState::Marked:
        return name + ": a call in this slot is not at the backend that the hash selects";
    }
    return name;
}

/// Returns the number of the generation whose table decides: the oldest for calls that are not
/// tracked; null when no table decides.
Json generation_of(const Control& control, PoolId pool, const std::optional<Steering>& steering) {
    const std::deque<Generation>& all = control.publisher.generations(pool).all();
    if (!steering || all.empty() || steering->rule == SteerRule::Remembered ||
        steering->rule == SteerRule::Registered || steering->rule == SteerRule::Asker)
        return nullptr;
    const bool oldest =
        steering->rule == SteerRule::Old && steering->slot_state == SlotState::Moved;
    return (oldest ? all.front() : all.back()).number;
}

std::string name_of(const KeyRule& rule) {
    return to_string(KeyConfig{rule.type, rule.header});
}

/// Returns null when the Call-ID is hashed.
const KeyRule* key_rule(const Pool& pool, Method method) {
    if (!pool.keys) return nullptr;
    const KeyRule& rule = pool.keys->by_method[static_cast<std::size_t>(method)];
    return rule.type == KeyType::CallId ? nullptr : &rule;
}

struct Question {
    bool has_message = false; ///< false: only its Call-ID is known
    std::vector<std::byte> message;
    SipDigest digest; ///< refers to `message` or to the arguments
    std::optional<Ipv4Addr> source;
};

Question read_question(const Vip& vip, Arguments arguments) {
    constexpr const char* kUsage = "usage: explain VIP CALL-ID, or explain VIP --message-base64 "
                                   "BASE64 [--source ADDRESS]";
    Question asked;
    asked.has_message = arguments[1] == "--message-base64";
    const bool has_source = arguments.size() == 5 && arguments[3] == "--source";
    if (asked.has_message ? arguments.size() != 3 && !has_source : arguments.size() != 2)
        throw Error(kUsage);
    if (has_source) {
        asked.source = parse_ipv4(arguments[4]);
        if (!asked.source)
            throw Error("--source: \"" + printable(arguments[4]) + "\" is not an IPv4 address");
    }
    if (asked.has_message) {
        asked.message = decode_base64(arguments[2]);
        ReadRules rules = vip.read_rules; // workers of a settled pool read less; same result
        rules.want = Want::Everything;
        asked.digest = read_digest(asked.message, rules);
        return asked;
    }
    // Without a message, assumes an in-call message of a call in progress.
    asked.digest.kind = PayloadKind::Request;
    asked.digest.method = Method::Info;
    asked.digest.has_to_tag = true;
    asked.digest.call_id = arguments[1];
    return asked;
}

/// Adds where a new call with this Call-ID would go.
void add_new_call(const SteerView& view, VipId vip, const SipDigest& asked, Json& to) {
    const Pool& pool = view.snapshot.pools[index(view.snapshot.vips[index(vip)].pool)];
    to["new_call_backend"] = nullptr;
    if (const KeyRule* const rule = key_rule(pool, Method::Invite)) {
        to["new_call_reason"] = "an INVITE is steered by its " + name_of(*rule) +
                                ", which a Call-ID does not contain: explain the whole message";
        return;
    }
    SipDigest digest = asked;
    digest.method = Method::Invite;
    digest.has_to_tag = false;
    const Steering steering = steer_vip(view, vip, digest, steering_hash(pool, digest));
    if (!steering.backend) {
        to["new_call_reason"] = info_of(steering.refusal).help;
        return;
    }
    const Backend& backend = view.snapshot.backends[index(*steering.backend)];
    to["new_call_backend"] = backend.name;
    to["new_call_reason"] = reason_of(steering, backend, std::nullopt);
}

/// Returns what the deciding pool hashes of this message instead of its Call-ID.
std::optional<ExplainedKey>
key_of(const Pool& pool, const Question& asked, const Steering& steering) {
    if (!asked.has_message || steering.role == MessageRole::InCall) return std::nullopt;
    const KeyRule* const rule = key_rule(pool, asked.digest.method);
    if (rule == nullptr) return std::nullopt;
    if (rule->type == KeyType::Source && !asked.source)
        throw Error("pool \"" + pool.name +
                    "\" steers this message by its sender: add --source ADDRESS");
    ExplainedKey key{name_of(*rule)};
    const ReceivedMessage received{asked.message, asked.source.value_or(Ipv4Addr{})};
    const auto hash = key_hash(*rule, received);
    if (!hash) return key;
    key.slot = slot_of(*hash);
    std::array<char, 512> text{};
    const std::size_t size = key_text(*rule, received, text);
    key.value =
        rule->type == KeyType::Source ? to_string(received.source) : to_utf8({text.data(), size});
    return key;
}

} // namespace

void explain(Control& control, Arguments arguments, Reply& reply) {
    const Snapshot* const snapshot = &published(control);
    const VipId vip_id = find_vip(*snapshot, arguments[0]);
    const Vip& vip = snapshot->vips[index(vip_id)];
    const Question asked = read_question(vip, arguments);
    const SipDigest& digest = asked.digest;
    const bool has_call_id = !digest.call_id.empty();

    std::optional<Outcome> end = admit_message(vip, digest);
    std::optional<Steering> steering;
    std::optional<ExplainedKey> key;
    const Backend* backend = nullptr;
    const SteerView view{*snapshot, control.calls, control.sweeper.now(), nullptr, true};
    if (has_call_id) {
        const ReceivedMessage received{asked.message, asked.source.value_or(Ipv4Addr{})};
        const std::uint64_t hash = steering_hash(snapshot->pools[index(vip.pool)], digest);
        steering = steer_vip(view, vip_id, digest, hash, received);
        key = key_of(snapshot->pools[index(steering->pool)], asked, *steering);
    }
    if (!end && steering->backend) backend = &snapshot->backends[index(*steering->backend)];
    if (!end && !backend) end = steering->refusal;

    const PoolId pool = steering ? steering->pool : vip.pool;
    const bool has_call = steering && steering->call;
    const auto is_in = [&](SlotState state) {
        return steering ? Json(steering->slot_state == state) : Json();
    };
    reply.json = {{"vip", vip.name},
                  {"pool", snapshot->pools[index(pool)].name},
                  {"call_id", has_call_id ? Json(to_utf8(digest.call_id)) : Json()},
                  {"slot", steering ? Json(steering->slot) : Json()},
                  {"backend", backend ? Json(backend->name) : Json()},
                  {"address", backend ? Json(to_string(backend->endpoint)) : Json()},
                  {"outcome", name_of(end.value_or(Outcome::Forwarded))},
                  {"table", control.publisher.digest(pool)},
                  {"reason",
                   end ? reason_of(*end, control, control.model.pool(pool))
                       : reason_of(*steering, *backend, key)},
                  {"rule", steering ? Json(name_of(steering->rule)) : Json()},
                  {"generation", generation_of(control, pool, steering)},
                  {"settled", is_in(SlotState::Settled)},
                  {"slot_state", steering ? Json(slot_text(steering->slot_state)) : Json()},
                  {"unsettled", is_in(SlotState::Moved)},
                  {"remembered", steering ? Json(steering->call.has_value()) : Json()},
                  {"call_state", has_call ? Json(name_of(steering->call->state)) : Json()}};
    if (key) reply.json["key"] = key->name;
    if (key) reply.json["key_value"] = key->slot ? Json(key->value) : Json();
    if (key) reply.json["key_slot"] = key->slot ? Json(*key->slot) : Json();
    if (!asked.has_message && !has_call && !end) add_new_call(view, vip_id, digest, reply.json);
}

} // namespace viaduct
