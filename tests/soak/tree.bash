# Sourced by scripts that put this host's programs into a guest: $tree is the directory that becomes its root.

# add FILE...: programs with the libraries they are linked to, at the same paths.
add() {
    local file each
    for file in "$@"; do
        mkdir -p "$tree$(dirname "$file")"
        cp -Lf "$file" "$tree$file"
        ldd "$file" 2>/dev/null | grep -o '/[^ ]*' | while read -r each; do
            mkdir -p "$tree$(dirname "$each")"
            cp -Lf "$each" "$tree$each"
        done || true
    done
}
