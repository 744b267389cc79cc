using System.Text;
using System.Text.RegularExpressions;

namespace Uml.Hosting.Testing;

/// <summary>
/// The guest's side of a <see cref="GuestShell"/>: a loop in the guest's shell that takes frames from a raw terminal. A frame is a
/// line of a secret word, a letter, arguments and the frame's number, and is answered by an event of that number.
/// </summary>
/// <remarks>
/// <list type="table">
/// <item><term>n name</term><description>Empties a file of the loop's directory, for an upload. Event a: 0, or the error's code.</description></item>
/// <item><term>w count</term><description>Appends as many bytes, which follow the line, to the upload. Event a, as above.</description></item>
/// <item><term>r</term><description>Runs the uploaded file "c" with sh, in a session and process group of its own, without input.
/// Event b when it begins, then its output, then event e with its exit code.</description></item>
/// <item><term>k</term><description>Ends the process group of the run of that number: SIGTERM, and SIGKILL after a second.</description></item>
/// </list>
/// A line that is no frame is run by the shell itself, as if it had been typed at a prompt. The loop reads on while a command runs,
/// which is how one can be ended. Its commands are those of POSIX, and mktemp, setsid and dd's fullblock, which busybox, util-linux and
/// coreutils have.
/// </remarks>
internal sealed class ShellProtocol
{
    /// <summary>
    /// Bytes in one frame. The terminal buffers of Linux hold 64 KiB (drivers/tty/tty_buffer.c), so a frame that the loop has not read yet
    /// fits, and the host's buffer of the console can hold all of it.
    /// </summary>
    public const int LargestWrite = 16 << 10;

    // __ARGUMENTS__ are replaced. The job is started by a subshell that ends at once: no entry in the shell's list of jobs,
    // no message. "Killed" and its like go to the null device: the redirection of the command is inside of a subshell of its own.
    private const string Loop = """
        set +m
        _m=__MARKER__ _d=$(mktemp -d "${TMPDIR:-/tmp}/.uml.XXXXXX" 2>/dev/null)
        _e() { printf '%s%s%s:%s;' "$_m" "$1" "$2" "$3"; }
        _k() {
          _i=0; while [ ! -s "$_d/$1.p" ] && [ $_i -lt 10 ]; do sleep 0.1; _i=$((_i+1)); done
          read -r _p <"$_d/$1.p" || return
          kill -TERM -$_p
          _i=0; while kill -0 -$_p && [ $_i -lt 10 ]; do sleep 0.1; _i=$((_i+1)); done
          kill -KILL -$_p
        }
        _r() {
          mv "$_d/c" "$_d/$1"; _e b $1
          ( ( (exec setsid sh -c 'echo $$ >"$0.p"; exec sh "$0"' "$_d/$1" </dev/null 2>&1); _e e $1 $?; rm -f "$_d/$1" "$_d/$1.p" ) 2>/dev/null & )
        }
        _e a 1 "$_d"
        while IFS= read -r _l; do
          _n=${_l##* }; _a=${_l% *}; _a=${_a##* }
          case $_l in
          "__TOKEN__ n "*) stty raw -echo; _u=$_d/$_a; : >"$_u"; _e a $_n $? ;;
          "__TOKEN__ w "*) dd bs=$_a count=1 iflag=fullblock 2>/dev/null >>"$_u"; _e a $_n $? ;;
          "__TOKEN__ r "*) _r $_n ;;
          "__TOKEN__ k "*) _k $_n 2>/dev/null ;;
          *) eval "$_l" ;;
          esac
        done

        """;

    private readonly string _token = Guid.NewGuid().ToString("N");
    private readonly byte[] _loop;

    /// <summary>A protocol with random markers.</summary>
    public ShellProtocol()
    {
        _loop = Encoding.ASCII.GetBytes(Loop.ReplaceLineEndings("\n")
            .Replace("__MARKER__", Marker, StringComparison.Ordinal)
            .Replace("__TOKEN__", _token, StringComparison.Ordinal));

        // A terminal may wrap the line anywhere.
        string firstLine = string.Join(@"\s*", Encoding.ASCII.GetString(GetFirstLine()).Where(c => !char.IsWhiteSpace(c)).Select(c => Regex.Escape($"{c}")));
        OwnText = new Regex(
            $@"{Marker}[a-z][0-9]+:[^;\n]*;|{_token} [a-z] \S+ [0-9]+(\r*\n)?|{firstLine}",
            RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
    }

    /// <summary>The marker that events begin with.</summary>
    public string Marker { get; } = Guid.NewGuid().ToString("N");

    /// <summary>The pattern of the protocol's text on a console: events, and the terminal's echo of the first line and of frames.</summary>
    public Regex OwnText { get; }

    /// <summary>
    /// The line to type at the prompt. It makes the terminal raw, sends event a 0, and then reads <see cref="GetLoop"/>. The shell puts the
    /// marker together, so that the echo of this line has none. Shorter than the 1023 characters of busybox's line editor.
    /// </summary>
    public byte[] GetFirstLine() => Encoding.ASCII.GetBytes(
        $"stty raw -echo; printf %s {Marker[..8]}''{Marker[8..]}'a0:;'; eval \"$(dd bs={_loop.Length} count=1 iflag=fullblock 2>/dev/null)\"\n");

    /// <summary>The loop's text. It answers with event a 1, whose value is the directory for files; empty when there can be none.</summary>
    public ReadOnlyMemory<byte> GetLoop() => _loop;

    /// <summary>A frame without bytes.</summary>
    public byte[] CreateFrame(char kind, string argument, int number) => Encoding.ASCII.GetBytes($"{_token} {kind} {argument} {number}\n");

    /// <summary>A word that the shell takes as it is, whatever is in it.</summary>
    public static string Quote(string text) => "'" + text.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
