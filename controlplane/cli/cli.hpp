// SPDX-License-Identifier: Apache-2.0
//
// cli: the local control socket. One line in, lines out, then `OK` or `ERR reason`.
//
// A client sends `VERB...` or `json VERB...`, words separated by blanks, at most 96 KiB per line
// (enough for a message of 65,535 bytes in base64), any number of lines in sequence. All users may
// read. Verbs that change something check the peer (SO_PEERCRED): it must be root, viaductd's own
// user or one of `admins`. A slow or hostile client harms no other: lines, replies, the number of
// clients and idle time are limited.
#pragma once

#include "config/config.hpp"
#include "loop.hpp"

#include "viaduct/steering/call_table.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

struct AddressView;
class PoolModel;
class HealthChecker;
class Publisher;
class CallSweeper;
class LoadMeter;
class Reloader;
class TxAudit;

/// The client, as the kernel reports it (SO_PEERCRED, SO_PEERGROUPS).
struct Peer {
    unsigned uid = 0;
    unsigned gid = 0;
    int pid = 0;
    std::vector<unsigned> groups; ///< supplementary groups
};

/// `control.admins` as numbers. Made once at start, so that no client can make the control thread
/// wait for a name service. A name that is both a user and a group means the user.
struct Admins {
    std::vector<unsigned> users;
    std::vector<unsigned> groups;
};

/// Throws Error naming an entry that is neither a user nor a group.
[[nodiscard]] Admins find_admins(const std::vector<std::string>& names);

/// The parts that verbs use; made in main. All are used on the control thread only.
struct Control {
    const Config& config;
    PoolModel& model;
    HealthChecker& health;
    Publisher& publisher;
    CallTable calls;
    const CallSweeper& sweeper;
    Loop& loop;
    const LoadMeter& load;
    TimePoint started;
    Admins admins;
    /// Publishes at once if the model changed, so that a verb's answer is already true.
    std::function<void()> apply;
    Reloader* reloader = nullptr; ///< null: the configuration cannot be changed
    /// Saves changes for a restart. Returns the error; empty: success.
    std::function<std::string()> keep_state{};
    std::function<AddressView(Ipv4Addr)> view_address{}; ///< empty: addresses are not watched
    const TxAudit* sent = nullptr;                       ///< null: sent frames are not audited
};

/// The result of a verb. Handlers fill `json`, and `text` unless the generic table of `json` is
/// enough.
struct Reply {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    std::string text; ///< lines for people; empty: a table made from `json`
};

struct Verb {
    std::string_view name; ///< one or two words, e.g. "drain", "show pools"
    std::string_view arguments;
    unsigned min_arguments;
    unsigned max_arguments;
    bool changes; ///< needs an admin
    std::string_view help;
    void (*handler)(Control&, const std::vector<std::string>& arguments, Reply&);
};

/// Every verb, sorted by name (verbs.cpp).
[[nodiscard]] const std::vector<Verb>& verbs() noexcept;

/// Answers one request line; the answer ends with "OK\n" or "ERR reason\n". Never throws.
[[nodiscard]] std::string answer(Control& control, const Peer& peer, std::string_view line);

/// True for root, our own user, and the users and group members in `admins`.
[[nodiscard]] bool may_change(const Admins& admins, const Peer& peer);

/// Returns the Markdown section of docs/reference.md that lists every verb.
[[nodiscard]] std::string verbs_reference();

/// Makes the folder of the control socket, readable by all. Throws Error when that fails.
void make_socket_folder(const std::string& path);

class CliServer {
public:
    static constexpr std::size_t kMaxClients = 64;
    static constexpr std::size_t kMaxLine = 98'304;
    static constexpr std::size_t kMaxReply = 4'194'304;
    /// Places reserved for root, our own user and admins, so that others cannot lock the operator
    /// out.
    static constexpr std::size_t kReservedClients = 8;
    static constexpr std::chrono::seconds kIdleLimit{60}; ///< from answer to next complete request
    static constexpr std::chrono::seconds kUnreadLimit{10}; ///< client reads nothing of its answer

    /// Claims `path`; clients may connect and wait. Replaces a stale socket. Throws Error when a
    /// running process holds it, or the folder cannot be made.
    CliServer(std::string path, Loop& loop);
    ~CliServer(); ///< removes the socket
    CliServer(const CliServer&) = delete;
    CliServer& operator=(const CliServer&) = delete;

    /// Serves clients from now on; call once. `control` must outlive this object.
    void start(Control& control);

    /// Closes clients over their limit; the loop calls this every second.
    void close_idle(TimePoint now);

private:
    struct Client;
    void listen_on_path();
    void accept_clients();
    void serve(int fd);
    void close_client(int fd);

    std::string path_;
    Loop& loop_;
    Control* control_ = nullptr; ///< set by start()
    int listener_ = -1;
    std::uint64_t device_ = 0; ///< with inode_: identifies our file at path_
    std::uint64_t inode_ = 0;
    std::map<int, std::unique_ptr<Client>> clients_;
    Ticker ticker_;
};

} // namespace viaduct
