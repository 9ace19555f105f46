// SPDX-License-Identifier: Apache-2.0
//
// Registrars that hold their bindings alone: hours of phones that register, refresh, leave and are
// asked for, while the pool changes and the balancer is killed, through the real model, publisher,
// table and steer().
//
// The laws: what asks for an address reaches the registrar that got its last REGISTER, for as long
// as that binding lives there and that registrar is not down; and every answer reaches the backend
// that the request went to. A registrar that was killed has no bindings when it comes back.
//
// VIADUCT_SIMULATED_MESSAGES for more messages than usual.
#include "control_desk.hpp"
#include "message_builder.hpp"
#include "model/pool.hpp"
#include "own_table.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"
#include "publish/reload.hpp"
#include "sanitized.hpp"
#include "state/state_file.hpp"
#include "valid_snapshot.hpp"

#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <random>
#include <spdlog/spdlog.h>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

using namespace std::chrono_literals;

constexpr SteeringSecret kSecret{11};
constexpr PoolId kPool{0};
constexpr std::size_t kRegistrars = 5;
constexpr std::size_t kUsers = 300;

struct Options {
    std::uint64_t seed = 1;
    KeyConfig key{KeyType::Aor, {}};
    ForwardMode mode = ForwardMode::DsrL2;
    bool remembers = true; ///< false: there is no table
};

struct Result {
    std::uint64_t messages = 0;
    std::uint64_t asked = 0; ///< for a living binding
    std::uint64_t changes = 0;
    std::uint64_t restarts = 0;
    std::uint64_t missed = 0;    ///< bindings
    std::uint64_t astray = 0;    ///< answers
    std::uint64_t elsewhere = 0; ///< bindings that were found though their slot is another's
    std::string first_missed;
};

class World {
public:
    explicit World(const Options& options)
        : random_(options.seed), config_(make(options)),
          table_(options.remembers ? own_.table : CallTable{}),
          is_nat_(options.mode == ForwardMode::Nat && is_in_answers(options.key.type)) {
        spdlog::set_level(spdlog::level::warn);
        start({});
        for (const BackendState& one : model().backends())
            model().set_health(one.id, Health::Up, "", now_);
        publish();
    }

    Result run(std::uint64_t messages) {
        while (result_.messages < messages) {
            advance(Seconds(std::exponential_distribution<double>(2)(random_)));
            if (happens(0.006)) change();
            Phone& phone = phones_[pick(kUsers)];
            if (is_nat_ && happens(0.1)) makes_up(phone);
            const bool is_registered = phone.at && now_ < phone.expires;
            if (happens(is_registered ? 0.3 : 0.6))
                registers(phone);
            else
                asks(phone);
        }
        return result_;
    }

private:
    using Seconds = std::chrono::duration<double>;
    struct Phone {
        std::optional<BackendId> at; ///< that got its last REGISTER
        unsigned life = 0;           ///< of that one, then
        TimePoint expires{};
        std::string story;
    };
    /// What dies with the balancer.
    struct Process {
        Process(Config& config, CallTable table, const KeptState& kept, TimePoint now)
            : model(model_of(config, kept)), publisher(config, kSecret, 0),
              sweeper(table, publisher), health(config, model, next_hops, 0, 1),
              reloader({config,
                        model,
                        publisher,
                        health,
                        sweeper,
                        [](const Config&, const auto&) {},
                        [] { return std::string(); }}) {
            take_up(kept, model, publisher, now);
        }
        PoolModel model;
        Publisher publisher;
        CallSweeper sweeper;
        HostPaths next_hops;
        HealthChecker health;
        Reloader reloader;
    };

    static Config make(const Options& options) {
        Config config = desk_config();
        config.pools.resize(1);
        config.pools[0].mode = options.mode;
        config.pools[0].key = options.key;
        config.pools[0].backends.clear();
        for (std::size_t i = 0; i < kRegistrars; ++i) {
            BackendConfig backend;
            backend.name = "b" + std::to_string(i + 1);
            backend.endpoint = endpoint("198.51.100." + std::to_string(i + 21), 5060);
            config.pools[0].backends.push_back(backend);
        }
        config.vips = {{"sip", endpoint("198.51.100.10", 5060), config.pools[0].name, true}};
        return config;
    }

    PoolModel& model() { return process_->model; }
    Publisher& publisher() { return process_->publisher; }
    bool happens(double probability) {
        return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
    }
    std::size_t pick(std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
    }

    // ---- time

    [[nodiscard]] CallTime call_time() {
        const auto seconds =
            std::chrono::duration_cast<std::chrono::seconds>(now_.time_since_epoch()).count();
        return CallTime(static_cast<std::uint64_t>(seconds / publisher().call_unit().count()));
    }
    void advance(Seconds by) {
        now_ += std::chrono::duration_cast<Clock::duration>(by);
        for (const auto& [id, when] : returns_)
            if (when <= now_) {
                running_[index(id)] = true;
                if (model().backend(id).exists()) model().set_health(id, Health::Up, "", now_);
            }
        std::erase_if(returns_, [&](const auto& one) { return one.second <= now_; });
        publish();
        if (now_ < next_sweep_ || !table_.exists()) return;
        next_sweep_ = now_ + 60s;
        const std::uint64_t passes = process_->sweeper.passes();
        while (process_->sweeper.passes() == passes)
            process_->sweeper.tick(call_time(), now_);
        publish();
    }
    void publish() {
        while (!snapshot_ || published_ != model().version() ||
               publisher().is_stale(model(), now_)) {
            published_ = model().version();
            snapshot_ = publisher().build(model(), now_);
            expect_valid(*snapshot_);
        }
    }
    void start(const KeptState& kept) {
        snapshot_.reset();
        process_ = std::make_unique<Process>(config_, table_, kept, now_);
    }

    // ---- phones

    struct Sent {
        Steering steering;
        bool arrives = false;
    };
    Sent send(const std::string& text) {
        ++result_.messages;
        const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
        const SipDigest digest = read_digest(bytes, {.want = kWantForCalls});
        const SteerView view{*snapshot_, table_, call_time()};
        const std::uint64_t hash = steering_hash(snapshot_->pools[index(kPool)], digest);
        const Steering done = steer(view, kPool, digest, hash, {bytes, Ipv4Addr{1}});
        return {done, done.backend && running_[index(*done.backend)]};
    }
    [[nodiscard]] MessageBuilder message(const Phone& phone, const std::string& method) {
        const std::string user =
            "sip:user" + std::to_string(&phone - phones_.data()) + "@example.com";
        ++call_ids_;
        return MessageBuilder(method + " " + user + " SIP/2.0", method)
            .to("<" + user + ">")
            .from("<" + user + ">;tag=1")
            .set("X-User", user)
            .call_id(method + std::to_string(call_ids_))
            .cseq(std::to_string(call_ids_) + " " + method);
    }
    void registers(Phone& phone) {
        const bool leaves = happens(0.1);
        const unsigned seconds = leaves ? 0 : 60 + static_cast<unsigned>(pick(3'541));
        MessageBuilder text = message(phone, "REGISTER");
        text.line("Contact: <sip:phone@192.0.2.1>;expires=" + std::to_string(seconds));
        if (happens(0.5)) text.call_id("of the phone " + std::to_string(&phone - phones_.data()));
        const Sent sent = send(text.text());
        note(phone, "REGISTER for " + std::to_string(seconds) + " s", sent);
        if (!sent.arrives) { // nobody answers: the phone tries again later
            phone.at.reset();
            return;
        }
        if (is_nat_) answer(text, sent, 200, seconds);
        phone.at = sent.steering.backend;
        phone.life = lives_[index(*phone.at)];
        phone.expires = now_ + std::chrono::seconds(seconds);
        expect_answer(text, "REGISTER", sent);
    }
    /// Where answers pass, the phone's REGISTER counts once its registrar says so.
    void answer(const MessageBuilder& text, const Sent& sent, int status, unsigned seconds) {
        MessageBuilder answer = text;
        answer.first_line("SIP/2.0 " + std::to_string(status) + " Well");
        if (seconds > 0) answer.line("Expires: " + std::to_string(seconds));
        const std::string bytes = answer.text();
        const std::span<const std::byte> payload = std::as_bytes(std::span(bytes));
        const SipDigest digest = read_digest(payload, {.want = kWantForCalls});
        hear_answer({*snapshot_, table_, call_time()},
                    kPool,
                    digest,
                    {payload, {}},
                    *sent.steering.backend);
    }
    /// Without credentials, for the address of a phone: refused, where that is heard.
    void makes_up(const Phone& phone) {
        MessageBuilder text = message(phone, "REGISTER");
        text.line("Contact: <sip:stranger@192.0.2.66>;expires=600");
        const Sent sent = send(text.text());
        if (sent.arrives) answer(text, sent, 401, 0);
    }
    void asks(Phone& phone) {
        static const std::vector<std::string> kMethods{
            "INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS", "PUBLISH", "REFER", "NOTIFY", "DONATE"};
        const std::string& method = kMethods[pick(kMethods.size())];
        const MessageBuilder text = message(phone, method);
        const Sent sent = send(text.text());
        note(phone, method, sent);
        if (phone.at && now_ < phone.expires && phone.life == lives_[index(*phone.at)] &&
            model().backend(*phone.at).health != Health::Down) {
            ++result_.asked;
            const auto& slots = snapshot_->pools[index(kPool)].slots;
            result_.elsewhere += sent.steering.rule == SteerRule::Registered && slots != nullptr;
            if (sent.steering.backend != phone.at) {
                ++result_.missed;
                if (result_.first_missed.empty()) result_.first_missed = phone.story;
            }
        }
        expect_answer(text, method, sent);
    }
    /// The backend has sent it on, under its Call-ID and CSeq.
    void expect_answer(MessageBuilder text, const std::string& method, const Sent& sent) {
        if (!sent.arrives) return;
        const int statuses[] = {180, 200, 404, 486};
        const std::string line = "SIP/2.0 " + std::to_string(statuses[pick(4)]) + " Well";
        const std::string user = "<sip:whoever@example.com>;tag=";
        for (const double wait : {0.05, 3.0, 20.0}) {
            if (wait > 1 && !happens(0.1)) break;
            advance(Seconds(wait));
            if (!running_[index(*sent.steering.backend)]) return;
            const Sent answer = send(text.first_line(line).to(user + method).text());
            result_.astray += answer.steering.backend != sent.steering.backend;
        }
    }
    void note(Phone& phone, const std::string& what, const Sent& sent) {
        phone.story +=
            std::to_string(Seconds(now_.time_since_epoch()).count()) + " s: " + what + ", rule " +
            std::string(name_of(sent.steering.rule)) + " -> " +
            (sent.steering.backend ? "b" + std::to_string(index(*sent.steering.backend) + 1)
                                   : "nowhere") +
            "\n";
        if (phone.story.size() > 3'000) phone.story.erase(0, 1'000);
    }

    // ---- changes

    void reload(const std::function<void(PoolConfig&)>& change) {
        Config next = config_;
        change(next.pools[0]);
        process_->reloader.apply(next, now_);
    }
    void change() {
        ++result_.changes;
        const BackendId id{static_cast<std::uint16_t>(pick(kRegistrars))};
        const std::string name = "b" + std::to_string(index(id) + 1);
        const auto is_it = [&](const BackendConfig& one) { return one.name == name; };
        const bool is_there = std::ranges::any_of(config_.pools[0].backends, is_it);
        switch (pick(6)) {
        case 0:
            if (!model().backend(id).exists()) break;
            model().set_admin(id, happens(0.5) ? Admin::Drain : Admin::Enabled, "", now_);
            break;
        case 1: // killed, and back
            if (!running_[index(id)] || !model().backend(id).exists()) break;
            running_[index(id)] = false;
            ++lives_[index(id)];
            [[fallthrough]];
        case 2: // a pause
            if (!model().backend(id).exists()) break;
            model().set_health(id, Health::Down, "", now_);
            returns_.emplace_back(id, now_ + std::chrono::seconds(1 + pick(600)));
            break;
        case 3: // another weight, or none
            if (is_there)
                reload([&](PoolConfig& pool) {
                    std::ranges::find_if(pool.backends, is_it)->weight =
                        static_cast<unsigned>(pick(5) * 50);
                });
            break;
        case 4: // it leaves, or is added
            reload([&](PoolConfig& pool) {
                BackendConfig backend;
                backend.name = name;
                backend.endpoint = endpoint("198.51.100." + std::to_string(index(id) + 21), 5060);
                if (!is_there)
                    pool.backends.push_back(backend);
                else if (pool.backends.size() > 2)
                    std::erase_if(pool.backends, is_it);
            });
            break;
        default: // kill -9 and restart
            ++result_.restarts;
            restart();
        }
        publish();
    }
    void restart() {
        constexpr std::chrono::hours kSomeYear{24 * 365 * 50};
        const Moment moment{now_,
                            std::chrono::system_clock::time_point(
                                std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                    kSomeYear + now_.time_since_epoch()))};
        const std::string state = print_state(state_of(model(), publisher(), 1), kSecret, moment);
        start(parse_state(state, kSecret, moment));
        publish();
        process_->sweeper.mark_kept(call_time());
        for (const BackendState& one : model().backends())
            if (one.exists() && one.health == Health::Unknown)
                model().set_health(one.id, Health::Up, "", now_);
    }

    std::mt19937_64 random_;
    Config config_;
    OwnTable own_;
    CallTable table_;
    const bool is_nat_; ///< and the key is in answers
    TimePoint now_{1h};
    TimePoint next_sweep_{};
    std::unique_ptr<Process> process_;
    std::unique_ptr<const Snapshot> snapshot_;
    std::uint64_t published_ = 0;
    std::uint64_t call_ids_ = 0;
    std::array<Phone, kUsers> phones_;
    std::array<bool, kRegistrars> running_{true, true, true, true, true};
    std::array<unsigned, kRegistrars> lives_{};
    std::vector<std::pair<BackendId, TimePoint>> returns_;
    Result result_;
};

std::uint64_t wanted_messages() {
    constexpr std::uint64_t kUsual = kIsSanitized ? 20'000 : 200'000;
    const char* const text = std::getenv("VIADUCT_SIMULATED_MESSAGES");
    return text == nullptr ? kUsual : std::strtoull(text, nullptr, 10);
}

} // namespace

TEST(Registrars, NoLivingBindingIsMissedAndNoAnswerGoesAstray) {
    std::uint64_t asked = 0;
    std::uint64_t elsewhere = 0;
    std::uint64_t changes = 0;
    std::uint64_t restarts = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        Options options;
        options.seed = seed;
        if (seed == 2) options.key = {KeyType::From, {}};
        if (seed == 3) options.key = {KeyType::Header, "X-User"};
        if (seed >= 4) options.mode = ForwardMode::Nat;
        if (seed == 5) options.key = {KeyType::Header, "X-User"}; // not in answers
        const Result result = World(options).run(wanted_messages() / 5);
        EXPECT_EQ(result.missed, 0U) << "seed " << seed << "\n" << result.first_missed;
        EXPECT_EQ(result.astray, 0U) << "seed " << seed;
        EXPECT_GT(result.asked, result.messages / 10);
        asked += result.asked;
        elsewhere += result.elsewhere;
        changes += result.changes;
        restarts += result.restarts;
        std::printf("seed %llu: %llu messages, %llu for a living binding, %llu changes\n",
                    static_cast<unsigned long long>(seed),
                    static_cast<unsigned long long>(result.messages),
                    static_cast<unsigned long long>(result.asked),
                    static_cast<unsigned long long>(result.changes));
    }
    EXPECT_GT(elsewhere, asked / 10) << "the hash alone would have missed so many";
    EXPECT_GT(changes, 10U);
    EXPECT_GT(restarts, 0U);
}

/// Or the laws above would hold whatever the code does.
TEST(Registrars, WithoutATableOfCallsTheLawsAreBroken) {
    Options options;
    options.remembers = false;
    const Result result = World(options).run(wanted_messages() / 10);
    EXPECT_GT(result.missed, 0U);
    EXPECT_GT(result.astray, 0U);
}

} // namespace viaduct::test
