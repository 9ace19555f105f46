// SPDX-License-Identifier: Apache-2.0
//
// log: one line per event to stderr, by spdlog; control thread only. Also notifies systemd.
#pragma once

#include <spdlog/spdlog.h>
#include <string>
#include <string_view>

namespace viaduct {

/// `level` is "debug", "info", "warning" or "error".
void start_log(const std::string& level);
/// Changes the running log; `level` as in the configuration.
void set_log_level(const std::string& level);

/// Makes foreign text safe for a log line: escapes control and non-ASCII bytes as \xNN, and cuts at
/// 64 bytes.
[[nodiscard]] std::string printable(std::string_view text);

/// Sends `state` to systemd (NOTIFY_SOCKET), e.g. "READY=1"; does nothing without one.
/// sd_notify(3).
void notify_systemd(std::string_view state) noexcept;

} // namespace viaduct
