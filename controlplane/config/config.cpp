// SPDX-License-Identifier: Apache-2.0
//
// config: a TOML file -> Config, or every mistake with its line and column.
//
// In:    the operator's file, at most 16 MiB; any bytes.
// Out:   a Config in which every value is in range and every reference exists.
// Cost:  n log n in the size of the file.
// Spec:  TOML 1.0.0. toml++ stops at the first syntax error; all other mistakes are reported
//        together.
#include "config/config.hpp"

#include "config/check.hpp"
#include "config/settings.hpp"
#include "log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <numeric>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace viaduct {

namespace {

/// Returns the defaults as TOML, by section header, so that they pass through the same readers.
const toml::table& defaults() {
    static const toml::table table = [] {
        toml::table all;
        for (const SectionInfo& section : sections()) {
            std::string text;
            for (const Setting& setting : settings())
                if (setting.section == section.section && setting.need == Need::Default)
                    text.append(setting.rule.key).append(" = ").append(setting.fallback) += '\n';
            all.insert(section.header, toml::parse(text));
        }
        return all;
    }();
    return table;
}

/// Returns the number of letters to add, drop or change (Levenshtein distance).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j)
            diagonal = std::exchange(
                row[j + 1],
                std::min({row[j + 1] + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0U : 1U)}));
    }
    return row.back();
}

/// Reads one file.
class Reader {
public:
    Config config;
    Sources sources;
    Mistakes mistakes;

    void read_file(const toml::table& root);

private:
    void read_pool(const toml::table& table);
    void check_keys(const toml::table& table, std::optional<Section> section);
    [[nodiscard]] Source
    read_one(Section section, const toml::table& parent, Position header, Owner owner);
    [[nodiscard]] Source read_entry(Section section, const toml::table& table, Owner owner);
    void read_settings(Section section, Owner owner, Source& source);
    [[nodiscard]] std::vector<const toml::table*> entries(Section section,
                                                          const toml::table& parent);
};

void Reader::read_file(const toml::table& root) {
    const Position top = root.source().begin;
    check_keys(root, {});
    sources.dataplane = read_one(Section::Dataplane, root, top, &config);
    for (const toml::table* table : entries(Section::Port, root))
        sources.ports.push_back(read_entry(Section::Port, *table, &config.ports.emplace_back()));
    for (const toml::table* table : entries(Section::Vip, root))
        sources.vips.push_back(read_entry(Section::Vip, *table, &config.vips.emplace_back()));
    for (const toml::table* table : entries(Section::Pool, root))
        read_pool(*table);
    sources.steering = read_one(Section::Steering, root, top, &config);
    sources.timers = read_one(Section::Timers, root, top, &config);
    sources.control = read_one(Section::Control, root, top, &config);
    check_config(config, sources, mistakes);
}

void Reader::read_pool(const toml::table& table) {
    PoolConfig& pool = config.pools.emplace_back();
    PoolSource& source = sources.pools.emplace_back();
    static_cast<Source&>(source) = read_entry(Section::Pool, table, &pool);
    source.health = read_one(Section::Health, table, source.header, &pool.health);
    for (const toml::table* backend : entries(Section::Backend, table))
        source.backends.push_back(
            read_entry(Section::Backend, *backend, &pool.backends.emplace_back()));
}

/// Whether it is a SIP timer (RFC 3261 §17, table 4) used only by the endpoints of a transaction.
bool is_timer_of_others(std::string_view name) {
    constexpr std::array<std::string_view, 10> kTimers{
        "t2", "t4", "a", "d", "e", "g", "h", "i", "j", "k"};
    std::string lower(name);
    std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return std::ranges::find(kTimers, lower) != kTimers.end();
}

/// Reports every key that is neither a setting of `section` nor a section in it.
void Reader::check_keys(const toml::table& table, std::optional<Section> section) {
    std::vector<std::pair<std::string_view, std::string_view>> known; // key, as to be written
    for (const Setting& setting : settings())
        if (section == setting.section) known.emplace_back(setting.rule.key, setting.rule.key);
    for (const SectionInfo& child : sections())
        if (section == child.parent) known.emplace_back(child.key, child.header);

    for (const auto& [key, node] : table) {
        const std::string_view name = key.str();
        std::string_view nearest;
        std::size_t least = 3;
        const auto is_known = [name](const auto& entry) { return entry.first == name; };
        if (std::any_of(known.begin(), known.end(), is_known)) continue;
        if (section == Section::Timers && is_timer_of_others(name)) {
            mistakes.add(key.source().begin,
                         "timer \"" + printable(name) +
                             "\" has no effect, because a load balancer repeats nothing itself: "
                             "remove it; only t1, b, f and c are used");
            continue;
        }
        for (const auto& [candidate, written] : known) {
            if (name.size() > 32 || candidate.size() < 3) continue;
            const std::size_t far = distance(name, candidate);
            if (far < least && far * 2 < candidate.size()) least = far, nearest = written;
        }
        const bool is_section = !section && (node.is_table() || node.is_array_of_tables());
        std::string text = is_section ? "unknown section " : "unknown key ";
        if (is_section)
            text +=
                (node.is_table() ? "[" : "[[") + printable(name) + (node.is_table() ? "]" : "]]");
        else
            text +=
                '"' + printable(name) + '"' +
                (section ? " in " + std::string(info(*section).header) : " outside any section");
        if (!nearest.empty()) {
            const bool bare = nearest.front() != '[';
            text += std::string("; did you mean ") + (bare ? "\"" : "") + std::string(nearest) +
                    (bare ? "\"?" : "?");
        }
        mistakes.add(key.source().begin, std::move(text));
    }
}

/// Returns the tables of a `[[section]]` in `parent`; reports a mistake when there is none.
std::vector<const toml::table*> Reader::entries(Section section, const toml::table& parent) {
    const std::string header(info(section).header);
    const toml::node* node = parent.get(info(section).key);
    std::vector<const toml::table*> tables;
    if (node == nullptr || (node->is_array() && node->as_array()->empty())) {
        mistakes.add(parent.source().begin,
                     "no " + header +
                         (info(section).parent ? " in " + std::string(info(Section::Pool).header)
                                               : " in the file") +
                         "; at least one is needed");
    } else if (const toml::array* array = node->as_array()) {
        for (const toml::node& entry : *array)
            if (const toml::table* table = entry.as_table())
                tables.push_back(table);
            else
                mistakes.add(entry.source().begin, "each " + header + " must be a table");
    } else {
        mistakes.add(node->source().begin,
                     std::string(info(section).key) + " must be written " + header +
                         ", because there may be several");
    }
    return tables;
}

Source Reader::read_entry(Section section, const toml::table& table, Owner owner) {
    Source source{table.source().begin, &table, {}};
    check_keys(table, section);
    read_settings(section, owner, source);
    return source;
}

/// Reads an optional section. `header` is the position to report when it is missing.
Source Reader::read_one(Section section, const toml::table& parent, Position header, Owner owner) {
    const toml::node* node = parent.get(info(section).key);
    if (node != nullptr && node->is_table()) return read_entry(section, *node->as_table(), owner);
    if (node != nullptr)
        mistakes.add(node->source().begin,
                     std::string(info(section).key) + " must be one table, " +
                         std::string(info(section).header));
    Source source{header, nullptr, {}};
    read_settings(section, owner, source);
    return source;
}

void Reader::read_settings(Section section, Owner owner, Source& source) {
    const toml::table& fallback = *defaults()[info(section).header].as_table();
    for (const Setting& setting : settings()) {
        if (setting.section != section) continue;
        const std::string_view key = setting.rule.key;
        const toml::node* node = source.table == nullptr ? nullptr : source.table->get(key);
        if (node == nullptr && setting.need == Need::Required)
            mistakes.add(source.header,
                         "missing key \"" + std::string(key) + "\" in " +
                             std::string(info(section).header) + ": " +
                             setting.field.describe(setting.rule));
        const bool given = node != nullptr;
        if (!given) node = fallback.get(key);
        const bool good =
            node != nullptr && setting.field.read(*node, setting.rule, mistakes, owner);
        if (!good && (given || setting.need == Need::Required)) source.wrong.insert(key);
    }
}

Position position_of(std::string_view text, std::size_t at) {
    const std::string_view before = text.substr(0, at);
    const std::string_view line = before.substr(before.rfind('\n') + 1); // npos + 1 is 0
    const auto starts_character = [](char byte) { return (byte & 0xc0) != 0x80; };
    return {static_cast<toml::source_index>(std::count(before.begin(), before.end(), '\n') + 1),
            static_cast<toml::source_index>(
                std::count_if(line.begin(), line.end(), starts_character) + 1)};
}

/// Finds texts that no value needs and that toml++ 3.3 cannot handle. It frees the tables of a
/// dotted key by recursion, so that enough dots overflow the stack; and a non-ASCII character where
/// it expects blanks is undefined behaviour in its is_non_ascii_horizontal_whitespace().
void check_text(std::string_view text, Mistakes& mistakes) {
    constexpr unsigned kMaxDots = 32; // in one line, outside strings and comments
    unsigned dots = 0;
    char quote = '\0'; // quote of the current string, or '#' in a comment
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const char* wrong = nullptr;
        if (c == '\n') {
            quote = '\0'; // after a broken string, which toml++ reports
            dots = 0;
        } else if (static_cast<unsigned char>(c) >= 0x80 && quote != '#') {
            wrong = "only ASCII is allowed outside comments";
        } else if (quote != '\0') {
            if (c == quote && c != '#') quote = '\0';
            if (c == '\\' && quote == '"' && !text.substr(i + 1).starts_with('\n')) ++i;
        } else if (c == '"' || c == '\'' || c == '#') {
            quote = c;
            if (c != '#' && text.substr(i).starts_with(std::string(3, c)))
                wrong = "multi-line strings are not supported: use one quote, not three";
        } else if (c == '.' && ++dots > kMaxDots) {
            wrong = "too many dots in one line: no key is that deep";
        }
        if (wrong != nullptr) {
            mistakes.add(position_of(text, i), wrong);
            return;
        }
    }
}

} // namespace

Config parse_config(std::string_view text, const std::string& file) {
    Reader reader;
    reader.config.file = file;
    if (text.starts_with("\xef\xbb\xbf"))
        reader.mistakes.add({1, 1}, "starts with a byte order mark; save it as plain UTF-8");
    else
        check_text(text, reader.mistakes);
    if (reader.mistakes.empty()) {
        try {
            reader.read_file(toml::parse(text));
        } catch (const toml::parse_error& error) {
            std::string what(error.description());
            std::replace_if(
                what.begin(), what.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
            reader.mistakes.add(error.source().begin, std::move(what));
        }
    }
    if (!reader.mistakes.empty()) throw ConfigError(reader.mistakes.report(file));
    return std::move(reader.config);
}

Config load_config(const std::string& file) {
    constexpr std::size_t kMaxFile = std::size_t{16} << 20;
    const auto fail = [&file](const std::string& reason) {
        return Error("cannot read " + file + ": " + reason);
    };
    const auto reason = [] { return std::generic_category().message(errno); };
    const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // do not wait on a FIFO
    if (fd < 0) throw fail(reason());
    struct stat about {};
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        throw fail(S_ISDIR(about.st_mode) ? "Is a directory" : "not a regular file");
    }
    std::string text;
    ssize_t got = 0;
    do {
        constexpr std::size_t kStep = std::size_t{64} << 10;
        const std::size_t size = text.size();
        text.resize(size + kStep);
        got = ::read(fd, text.data() + size, kStep);
        text.resize(size + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    } while ((got > 0 && text.size() <= kMaxFile) || (got < 0 && errno == EINTR));
    const std::string why = got < 0 ? reason() : std::string();
    close(fd);
    if (!why.empty()) throw fail(why);
    if (text.size() > kMaxFile) throw fail("larger than 16 MiB");
    return parse_config(text, file);
}

} // namespace viaduct
