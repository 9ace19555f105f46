// SPDX-License-Identifier: Apache-2.0
//
// print: a Config, the list of settings, and addresses, as text.
#include "config/settings.hpp"

namespace viaduct {

namespace {

void print_section(std::string& out, Section section, ConstOwner owner) {
    const std::string indent(info(section).parent ? "  " : "");
    out += '\n' + indent + std::string(info(section).header) + '\n';
    for (const Setting& setting : settings()) {
        if (setting.section != section) continue;
        const std::string value = setting.field.show(setting.rule, owner);
        const bool is_comment = value.empty() || setting.rule.hidden;
        out.append(indent).append(is_comment ? "# " : "").append(setting.rule.key);
        if (value.empty())
            out.append(": ").append(setting.fallback);
        else
            out.append(" = ").append(value);
        out += '\n';
    }
}

} // namespace

std::string print_config(const Config& config) {
    std::string out = "# the running configuration, with defaults\n";
    print_section(out, Section::Dataplane, &config);
    for (const PortConfig& port : config.ports)
        print_section(out, Section::Port, &port);
    for (const VipConfig& vip : config.vips)
        print_section(out, Section::Vip, &vip);
    for (const PoolConfig& pool : config.pools) {
        print_section(out, Section::Pool, &pool);
        print_section(out, Section::Health, &pool.health);
        for (const BackendConfig& backend : pool.backends)
            print_section(out, Section::Backend, &backend);
    }
    print_section(out, Section::Steering, &config);
    print_section(out, Section::Timers, &config);
    print_section(out, Section::Control, &config);
    return out;
}

std::string settings_reference() {
    std::string out = "## Settings\n";
    for (const SectionInfo& section : sections()) {
        out.append("\n### `").append(section.header).append("`\n\n").append(section.help);
        out += "\n\n| Key | Value | Default | Change needs | Meaning |\n|---|---|---|---|---|\n";
        for (const Setting& setting : settings()) {
            if (setting.section != section.section) continue;
            out.append("| `").append(setting.rule.key).append("` | ");
            out += setting.field.describe(setting.rule) + " | ";
            switch (setting.need) {
            case Need::Required:
                out += "required";
                break;
            case Need::Default:
                out.append("`").append(setting.fallback).append("`");
                break;
            case Need::Optional:
                out.append(setting.fallback);
                break;
            }
            out.append(setting.start_only ? " | restart | " : " | reload | ");
            out.append(setting.help).append(" |\n");
        }
    }
    return out;
}

std::string to_string(Ipv4Addr address) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8) {
        text += std::to_string((address.value >> shift) & 0xff);
        if (shift > 0) text += '.';
    }
    return text;
}

std::string to_string(const Endpoint& endpoint) {
    return to_string(endpoint.address) + ':' + std::to_string(endpoint.udp_port);
}

std::string to_string(const Ipv4Prefix& prefix) {
    return to_string(prefix.address) + '/' + std::to_string(prefix.length);
}

std::string to_string(const MacAddr& mac) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : mac.bytes) {
        if (!text.empty()) text += ':';
        text += kHex[byte >> 4];
        text += kHex[byte & 0xf];
    }
    return text;
}

} // namespace viaduct
