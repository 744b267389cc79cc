using System.Security.Cryptography;
using System.Text;
using Uml.Devices.Consoles;

namespace Uml.Hosting.Testing;

/// <summary>Copies files over a <see cref="ShellConnection"/>. Both sides compare the SHA-256, because others may print on the console.</summary>
internal sealed class ShellFileTransfer(
    ShellConnection connection,
    ShellConnection.Exchange exchange,
    Func<ShellConnection.Exchange, string, Stream, CancellationToken, Task<int>> run)
{
    // Reasons and hashes are a few lines; the numbers are ours.
    private const int LargestAnswer = 64 << 10, LongestReason = 2000;

    /// <summary>Copies a file of the guest.</summary>
    public async Task ReadAsync(string path, Stream destination, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var hashed = new HashingStream(destination, hash);
        string file = ShellProtocol.Quote(path);
        string answer = ShellProtocol.Quote(connection.Directory + "/answer");

        // tee opens the terminal a second time, so that the hash is of the bytes sent, even if the file changes meanwhile.
        string script = $"""
            exec 3>&1 >{answer} 2>&1
            [ ! -d {file} ] || {"{"} echo {file}: Is a directory; exit 1; {"}"}
            exec <{file} || exit 1
            tee /proc/self/fd/3 | sha256sum
            """;
        int code = await run(exchange, script.ReplaceLineEndings("\n"), hashed, cancellationToken).ConfigureAwait(false);
        (_, string told) = await AskAsync($"cat {answer}; rm -f {answer}", cancellationToken).ConfigureAwait(false);
        string expected = Convert.ToHexStringLower(hash.GetHashAndReset()) + "  -";
        if (code != 0 || told != expected)
        {
            throw new IOException(IsHash(told)
                ? $"The guest's file {path} did not arrive whole: something else was printed on the console meanwhile."
                : $"The guest cannot read {path}: {told}");
        }
    }

    /// <summary>Writes a file of the guest.</summary>
    public async Task WriteAsync(string path, Stream source, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var hashed = new HashingStream(source, hash);
        await connection.UploadAsync(exchange, "f", hashed, cancellationToken).ConfigureAwait(false);
        string uploaded = ShellProtocol.Quote(connection.Directory + "/f");
        string file = ShellProtocol.Quote(path);

        // An existing file is overwritten in place, which keeps its owner and mode; a new one is the renamed upload, which needs no second
        // copy.
        string script = $"""
            trap "rm -f {uploaded}" EXIT
            [ "$(sha256sum <{uploaded})" = '{Convert.ToHexStringLower(hash.GetHashAndReset())}  -' ] || {"{"} echo the bytes arrived damaged; exit 1; {"}"}
            if [ -e {file} ]; then cat {uploaded} >{file}; else mv -- {uploaded} {file}; fi
            """;
        (int code, string told) = await AskAsync(script.ReplaceLineEndings("\n"), cancellationToken).ConfigureAwait(false);
        if (code != 0)
        {
            throw new IOException($"The guest cannot write {path}: {told}");
        }
    }

    private async Task<(int ExitCode, string Output)> AskAsync(string script, CancellationToken cancellationToken)
    {
        using var output = new BoundedOutput(LargestAnswer, "something else writes on the shell's console");
        int code = await run(exchange, script, output, cancellationToken).ConfigureAwait(false);
        string told = Encoding.UTF8.GetString(output.Written.Span).Trim();
        return (code, told.Length == 0 ? "it gives no reason" : ConsoleText.ToPrintable(told, LongestReason));
    }

    private static bool IsHash(string told) => told.Length == 67 && told.EndsWith("  -", StringComparison.Ordinal);
}
