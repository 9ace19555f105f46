// SPDX-License-Identifier: Apache-2.0
//
// keys: the keys other than the Call-ID by which a pool may steer new calls, and references to
// other calls.
//
// In:    the payload as received. Hostile.
// Out:   a keyed hash; empty: the message does not have that key, and its Call-ID is used.
// Cost:  one full reading of the message. may_reference_call() runs for every INVITE, REFER and
//        SUBSCRIBE: one pass over the line ends.
// Spec:  RFC 3261 §10 (registrations), §19.1.4 and §19.1.6 (which URIs are equal), RFC 3966 §4
//        (which numbers are equal), RFC 3891 (Replaces), RFC 3911 (Join), RFC 4538 (Target-Dialog).
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/net.hpp"
#include "viaduct/sip/digest.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace viaduct {

/// The type of a key. It is part of the hash, so that equal texts of different types do not
/// collide.
enum class KeyType : std::uint8_t {
    CallId = 1,
    Aor = 2,  ///< user@host of To
    From = 3, ///< user@host of From; hashed as Aor, so callers go where they registered
    RequestUriUser = 4,
    Source = 5,      ///< the sender's IP address
    Header = 6,      ///< the value of the first header field with a given name
    Transaction = 7, ///< the branch of a request: no pool steers by it, requests are counted by it
};

/// The state of a keyed hash after the part that all keys of one type and pool share: see
/// hash_prefix().
struct HashPrefix {
    std::array<std::uint64_t, 4> state{};
};

struct KeyRule {
    KeyType type = KeyType::CallId;
    HashPrefix prefix{};
    std::string header{}; ///< name of the field, for Header
};

/// The key for each Method, for requests that may start a call, and standalone requests.
struct PoolKeys {
    std::array<KeyRule, count_of<Method>()> by_method;
};

/// What steering may have to read in addition to the digest.
struct ReceivedMessage {
    std::span<const std::byte> payload{};
    Ipv4Addr source{};
};

/// The hash of a key. For addresses (Aor, From, RequestUriUser) it covers the user with its escapes
/// decoded and the host in lower case. If the user is a telephone number (digits with or without
/// `+`), visual separators are left out, and so are all parameters except the phone-context of a
/// local number, in lower case. RFC 3966 §4 defines this for tel URIs; the same devices write the
/// numbers in sip URIs (RFC 3261 §19.1.6). Two different addresses may have one key, and so one
/// backend.
[[nodiscard]] std::optional<std::uint64_t> key_hash(const KeyRule& rule,
                                                    const ReceivedMessage& received) noexcept;
/// Writes the text that key_hash() hashes, as much as fits; returns its size. 0: the message does
/// not have the key.
std::size_t
key_text(const KeyRule& rule, const ReceivedMessage& received, std::span<char> into) noexcept;

/// Whether a response has the key of its request.
[[nodiscard]] constexpr bool is_in_answers(KeyType type) noexcept {
    return type == KeyType::CallId || type == KeyType::Aor || type == KeyType::From;
}

/// Whether a message may be a request that references another call. Never false when it is one.
[[nodiscard]] bool may_reference_call(std::span<const std::byte> payload) noexcept;

/// The seconds that a REGISTER, SUBSCRIBE or PUBLISH asks for: the longest `expires` of its
/// Contacts, else Expires, else 3600, the usual default of servers (RFC 3261 §10.2.1.1, RFC 6665
/// §4.1.2.1 and RFC 3903 §4 leave it to the server). The server may grant less.
[[nodiscard]] std::uint32_t asked_seconds(std::span<const std::byte> payload) noexcept;
inline constexpr std::uint32_t kUsualExpires = 3600;

/// The seconds that the response to such a request grants; empty: it does not say.
[[nodiscard]] std::optional<std::uint32_t>
granted_seconds(std::span<const std::byte> payload) noexcept;

/// Whether a NOTIFY is the last of its subscription (RFC 6665 §4.4.1).
[[nodiscard]] bool ends_a_subscription(std::span<const std::byte> payload) noexcept;

/// The Call-ID in its Replaces, Join or Target-Dialog; empty: there is none.
[[nodiscard]] std::string_view referenced_call(std::span<const std::byte> payload) noexcept;

} // namespace viaduct
