// SPDX-License-Identifier: Apache-2.0
#include "state/state_file.hpp"

#include "viaduct/error.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace viaduct {

namespace {

using Json = nlohmann::json; // sorted keys: equal states give equal text
using std::chrono::milliseconds;

constexpr std::uint64_t kFormat = 1;
constexpr std::array kHealths{Health::Unknown, Health::Up, Health::Busy, Health::Down};
/// Words of the file format since its first version.
constexpr std::array<std::string_view, count_of<Admin>()> kAdminWords{
    "enabled", "drain", "disabled"};
static_assert(names_all<Admin>(kAdminWords));

std::string hex(std::uint64_t number) {
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(number));
    return text.data();
}

std::string fingerprint(const SteeringSecret& secret) {
    return hex(hash_bytes(secret, "state file"));
}
std::string checksum(const Json& body) {
    return hex(hash_bytes({}, body.dump()));
}

std::int64_t to_wall(TimePoint at, const Moment& moment) {
    const auto wall = moment.wall + (at - moment.steady);
    return std::chrono::floor<milliseconds>(wall.time_since_epoch()).count();
}

/// Accepts the years 1970 to 2286, so that no sum overflows.
TimePoint from_wall(const Json& value, const Moment& moment) {
    constexpr std::int64_t kMost = 10'000'000'000'000;
    const auto wall = value.get<std::int64_t>();
    if (wall < 0 || wall > kMost) throw Error("contains an impossible time");
    const auto since = std::chrono::floor<milliseconds>(moment.wall.time_since_epoch());
    return moment.steady + (milliseconds(wall) - since);
}

/// Reads a time in the past. If the clock was set back since, the result is the present.
TimePoint past(const Json& value, const Moment& moment) {
    return std::min(from_wall(value, moment), moment.steady);
}

// ---- write

Json print(const std::vector<Candidate>& candidates) {
    Json rows = Json::array();
    for (const Candidate& one : candidates)
        rows.push_back(Json::array({one.name, index(one.id), one.weight}));
    return rows;
}

Json print(const Generation& generation, const Moment& moment) {
    Json object = {{"number", generation.number},
                   {"since", to_wall(generation.since, moment)},
                   {"reason", generation.reason},
                   {"table", name_of(generation.kind)},
                   {"candidates", print(generation.candidates)}};
    if (!generation.lost.empty()) object["lost"] = print(generation.lost);
    if (generation.replaced) object["replaced"] = to_wall(*generation.replaced, moment);
    return object;
}

Json print(const KeptBackend& backend, const Moment& moment) {
    const BackendConfig& config = backend.known.config;
    Json object = {{"pool", backend.known.pool},
                   {"name", config.name},
                   {"id", index(backend.known.id)},
                   {"address", to_string(config.endpoint.address)},
                   {"port", config.endpoint.udp_port},
                   {"health", name_of(backend.health)},
                   {"seen", to_wall(backend.health_seen, moment)},
                   {"admin", kAdminWords[static_cast<std::size_t>(backend.admin)]}};
    if (backend.health == Health::Down) object["down_since"] = to_wall(backend.down_since, moment);
    if (config.mac) object["mac"] = to_string(*config.mac);
    if (backend.deadline) object["deadline"] = to_wall(*backend.deadline, moment);
    if (backend.takes_since) object["takes_since"] = to_wall(*backend.takes_since, moment);
    return object;
}

// ---- read

template <typename Values> auto by_name(const Values& values, const Json& name) {
    for (const auto value : values)
        if (name_of(value) == name.get<std::string>()) return value;
    throw Error("contains an unknown word");
}

Admin parse_admin(const Json& word) {
    const auto found = std::ranges::find(kAdminWords, word.get<std::string>());
    if (found == kAdminWords.end()) throw Error("contains an unknown word");
    return static_cast<Admin>(found - kAdminWords.begin());
}

BackendId parse_id(const Json& value) {
    const auto id = value.get<std::int64_t>();
    if (id < 0 || id >= static_cast<std::int64_t>(kMaxBackends))
        throw Error("contains an impossible backend id");
    return static_cast<BackendId>(id);
}

Generation parse_generation(const Json& object, const Moment& moment) {
    constexpr unsigned kMaxWeight = 1'000'000;
    Generation generation;
    generation.number = object.at("number").get<std::uint64_t>();
    generation.since = from_wall(object.at("since"), moment);
    generation.reason = object.at("reason").get<std::string>();
    const auto kind = std::ranges::find(kTableKindNames, object.at("table").get<std::string>());
    if (kind == kTableKindNames.end()) throw Error("contains an unknown word");
    generation.kind = static_cast<TableKind>(kind - kTableKindNames.begin());
    if (object.contains("replaced")) generation.replaced = past(object.at("replaced"), moment);
    std::set<BackendId> ids;
    const auto parse = [&](const Json& rows, std::vector<Candidate>& to) {
        for (const Json& one : rows) {
            Candidate candidate;
            candidate.name = one.at(0).get<std::string>();
            candidate.id = parse_id(one.at(1));
            candidate.weight = one.at(2).get<unsigned>();
            if (candidate.weight < 1 || candidate.weight > kMaxWeight ||
                !ids.insert(candidate.id).second)
                throw Error("contains an impossible generation");
            to.push_back(std::move(candidate));
        }
    };
    parse(object.at("candidates"), generation.candidates);
    if (object.contains("lost")) parse(object.at("lost"), generation.lost);
    return generation;
}

KeptPool parse_pool(const Json& object, const Moment& moment) {
    KeptPool pool;
    pool.name = object.at("name").get<std::string>();
    for (const Json& one : object.at("generations")) {
        pool.generations.push_back(parse_generation(one, moment));
        pool.generations.back().since = std::min(pool.generations.back().since, moment.steady);
    }
    // All but the last must have been replaced: otherwise it is unknown when to forget them.
    const auto& all = pool.generations;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].replaced.has_value() != (i + 1 < all.size()))
            throw Error("contains an impossible row of generations");
    if (all.size() > Generations::kMost) throw Error("contains too many generations");
    if (object.contains("announced"))
        pool.announced = parse_generation(object.at("announced"), moment);
    if (object.contains("counts_since"))
        pool.counts_since = past(object.at("counts_since"), moment);
    return pool;
}

Endpoint parse_endpoint(const Json& object) {
    const auto address = parse_ipv4(object.at("address").get<std::string>());
    const auto port = object.at("port").get<std::int64_t>();
    if (!address || port < 1 || port > 65'535) throw Error("contains an impossible address");
    return {*address, static_cast<std::uint16_t>(port)};
}

KeptBackend parse_backend(const Json& object, const Moment& moment) {
    KeptBackend backend;
    backend.known.pool = object.at("pool").get<std::string>();
    backend.known.id = parse_id(object.at("id"));
    BackendConfig& config = backend.known.config;
    config.name = object.at("name").get<std::string>();
    config.endpoint = parse_endpoint(object);
    if (object.contains("mac")) {
        config.mac = parse_mac(object.at("mac").get<std::string>());
        if (!config.mac) throw Error("contains an impossible address");
    }
    backend.health = by_name(kHealths, object.at("health"));
    backend.admin = parse_admin(object.at("admin"));
    backend.health_seen = past(object.at("seen"), moment);
    if (backend.health == Health::Down) backend.down_since = past(object.at("down_since"), moment);
    if (object.contains("deadline")) backend.deadline = from_wall(object.at("deadline"), moment);
    if (object.contains("takes_since"))
        backend.takes_since = past(object.at("takes_since"), moment);
    return backend;
}

Move parse_move(const Json& object, const Moment& moment) {
    Move move{object.at("vip").get<std::string>(),
              object.at("pool").get<std::string>(),
              object.at("previous").get<std::string>(),
              past(object.at("since"), moment),
              {}};
    move.has_moved = object.contains("moved_at");
    if (move.has_moved) move.moved_at = past(object.at("moved_at"), moment);
    move.endpoint = parse_endpoint(object);
    move.owns_untracked = object.at("has_unknown").get<bool>();
    return move;
}

KeptState parse_body(const Json& body, const Moment& moment) {
    KeptState state;
    state.lineage = body.at("lineage").get<std::uint64_t>();
    state.ids = body.at("ids").get<std::size_t>();
    if (state.ids > kMaxBackends) throw Error("contains too many backends");
    std::set<BackendId> ids;
    std::set<std::pair<std::string, std::string>> names;
    for (const Json& one : body.at("backends")) {
        state.backends.push_back(parse_backend(one, moment));
        const KeptBackend& backend = state.backends.back();
        if (!ids.insert(backend.known.id).second ||
            !names.emplace(backend.known.pool, backend.known.config.name).second)
            throw Error("contains a backend twice");
    }
    for (const Json& one : body.at("pools"))
        state.pools.push_back(parse_pool(one, moment));
    if (body.contains("moves"))
        for (const Json& one : body.at("moves"))
            state.moves.push_back(parse_move(one, moment));
    return state;
}

} // namespace

KeptState state_of(const PoolModel& model, const Publisher& publisher, std::uint64_t lineage) {
    KeptState state;
    state.lineage = lineage;
    state.ids = model.backends().size();
    for (const BackendState& backend : model.backends())
        if (backend.exists())
            state.backends.push_back({{backend.pool_name, backend.config, backend.id},
                                      backend.health,
                                      backend.admin,
                                      backend.health_seen,
                                      backend.down_since,
                                      backend.drain_deadline,
                                      backend.takes_since});
    for (const PoolState& pool : model.pools()) {
        const Generations& generations = publisher.generations(pool.id);
        state.pools.push_back({pool.config.name,
                               {generations.all().begin(), generations.all().end()},
                               generations.announced(),
                               publisher.counts_since(pool.id)});
    }
    state.moves = publisher.moves();
    return state;
}

std::string
print_state(const KeptState& state, const SteeringSecret& secret, const Moment& moment) {
    Json body = {{"lineage", state.lineage},
                 {"ids", state.ids},
                 {"backends", Json::array()},
                 {"pools", Json::array()}};
    for (const KeptBackend& backend : state.backends)
        body["backends"].push_back(print(backend, moment));
    for (const KeptPool& pool : state.pools) {
        Json object = {{"name", pool.name}, {"generations", Json::array()}};
        for (const Generation& generation : pool.generations)
            object["generations"].push_back(print(generation, moment));
        if (pool.announced) object["announced"] = print(*pool.announced, moment);
        if (pool.counts_since) object["counts_since"] = to_wall(*pool.counts_since, moment);
        body["pools"].push_back(std::move(object));
    }
    for (const Move& move : state.moves) {
        Json object = {{"vip", move.vip},
                       {"pool", move.pool},
                       {"previous", move.previous},
                       {"since", to_wall(move.since, moment)},
                       {"address", to_string(move.endpoint.address)},
                       {"port", move.endpoint.udp_port},
                       {"has_unknown", move.owns_untracked}};
        if (move.has_moved) object["moved_at"] = to_wall(move.moved_at, moment);
        body["moves"].push_back(std::move(object));
    }
    const Json whole = {{"viaduct_state", kFormat},
                        {"secret", fingerprint(secret)},
                        {"checksum", checksum(body)},
                        {"body", std::move(body)}};
    return whole.dump() + "\n";
}

KeptState parse_state(std::string_view text, const SteeringSecret& secret, const Moment& moment) {
    try {
        const Json whole = Json::parse(text);
        if (!whole.at("viaduct_state").is_number_unsigned()) throw Error("damaged");
        const auto format = whole.at("viaduct_state").get<std::uint64_t>();
        if (format > kFormat) throw Error("written by a newer version");
        if (format != kFormat) throw Error("damaged");
        if (whole.at("secret").get<std::string>() != fingerprint(secret))
            throw Error("written with a different secret");
        const Json& body = whole.at("body");
        if (whole.size() != 4 || whole.at("checksum").get<std::string>() != checksum(body))
            throw Error("damaged");
        return parse_body(body, moment);
    } catch (const nlohmann::json::exception&) {
        throw Error("damaged");
    }
}

PoolModel model_of(const Config& config, const KeptState& state) {
    std::vector<KnownBackend> known;
    for (const KeptBackend& backend : state.backends)
        known.push_back(backend.known);
    return PoolModel(config, known, state.ids);
}

void take_up(const KeptState& state, PoolModel& model, Publisher& publisher, TimePoint now) {
    for (const KeptBackend& kept : state.backends) {
        const BackendId id = kept.known.id;
        if (!model.backend(id).exists()) continue;
        const bool is_same = kept.known.config.endpoint == model.backend(id).config.endpoint;
        if (is_same && now - kept.health_seen <= KeptState::kHealthCounts) {
            model.set_health(id, kept.health, "as it was before the restart", kept.down_since);
            model.date_health(id, kept.health_seen);
        }
        model.set_admin(id, kept.admin, "as it was before the restart", now);
        if (model.backend(id).takes_calls() && kept.takes_since)
            model.restore_eligible_since(id, *kept.takes_since);
        if (kept.admin == Admin::Drain) model.set_drain_deadline(id, kept.deadline);
    }
    for (const KeptPool& kept : state.pools)
        for (const PoolState& pool : model.pools()) {
            if (pool.config.name != kept.name) continue;
            publisher.generations(pool.id).restore(kept.generations, kept.announced, now);
            if (kept.counts_since) publisher.restore_counting(pool.id, *kept.counts_since);
        }
    publisher.restore(state.moves);
}

} // namespace viaduct
