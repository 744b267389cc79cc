using System.Collections.Concurrent;
using System.Formats.Tar;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Uml.Hosting.Assets;

namespace Uml.Hosting.Tests.Assets;

/// <summary>An apt that knows the packages a test gives it.</summary>
internal sealed class FakeApt : ICommandRunner
{
    private static readonly CommandResult _success = new(0, "", "");

    public ConcurrentQueue<string> Commands { get; } = [];

    /// <summary>The packages of the host's own lists: control stanza and package file by name.</summary>
    public Dictionary<string, (string Stanza, byte[] File)> Host { get; } = [];

    /// <summary>The packages of private lists, once they are fetched.</summary>
    public Dictionary<string, (string Stanza, byte[] File)> Private { get; } = [];

    /// <summary>What a command is answered with instead; by its first words.</summary>
    public Dictionary<string, CommandResult?> Answers { get; } = [];

    /// <summary>The sources.list of the last private run.</summary>
    public string PrivateSources { get; private set; } = "";

    public TimeSpan Delay { get; init; }

    /// <summary>Whether there is no way to any other host.</summary>
    public bool IsOffline { get; set; }

    /// <summary>Where connections were opened to.</summary>
    public ConcurrentQueue<string> Connections { get; } = [];

    /// <summary>How many downloads arrive damaged.</summary>
    public int DamagedDownloads { get; set; }

    /// <summary>What apt prints about a download while it is under way.</summary>
    public string[] Status { get; init; } = [];

    public async Task<CommandResult?> RunAsync(
        string command,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string> environment,
        string workingDirectory,
        Action<string>? onOutput,
        CancellationToken cancellationToken)
    {
        string text = $"{command} {string.Join(' ', arguments)}";
        Commands.Enqueue(text);
        await Task.Delay(Delay, cancellationToken);
        foreach ((string start, CommandResult? answer) in Answers)
        {
            if (text.StartsWith(start, StringComparison.Ordinal))
            {
                return answer;
            }
        }

        bool isPrivate = environment.TryGetValue("APT_CONFIG", out string? configuration);
        if (isPrivate)
        {
            PrivateSources = File.ReadAllText(Path.Combine(Path.GetDirectoryName(configuration)!, "sources.list"));
        }

        Dictionary<string, (string Stanza, byte[] File)> packages = isPrivate ? Private : Host;
        string package = arguments[^1].Split('=')[0];
        switch ($"{command} {arguments[0]}")
        {
            case "apt-config dump":
                return new CommandResult(0, "APT::Update::Post-Invoke:: \"rm -rf /\";\nAcquire::http::Proxy \"http://proxy:1\";\n", "");
            case "apt-cache show":
                return packages.TryGetValue(package, out var known) ? new CommandResult(0, known.Stanza, "") : new CommandResult(100, "", "E: No packages found");
            case "apt-get download" when packages.TryGetValue(package, out var found):
                Array.ForEach(Status, line => onOutput?.Invoke(line));
                byte[] file = DamagedDownloads-- > 0 ? found.File[..^1] : found.File;
                await File.WriteAllBytesAsync(Path.Combine(workingDirectory, package + "_1_amd64.deb"), file, cancellationToken);
                return _success;
            case "apt-get update":
                return _success;
            default:
                return new CommandResult(100, "", $"E: Unable to locate package {package}");
        }
    }

    public async Task ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        Connections.Enqueue($"{host}:{port}");
        await Task.Yield();
        if (IsOffline)
        {
            throw new SocketException((int)SocketError.TryAgain);
        }
    }

    public static void Add(Dictionary<string, (string Stanza, byte[] File)> packages, string stanza, byte[] file) => packages[stanza.Split('\n')[0]["Package: ".Length..]] =
        ($"{stanza}SHA256: {Convert.ToHexStringLower(SHA256.HashData(file))}\n", file);

    public static void AddKernel(Dictionary<string, (string Stanza, byte[] File)> packages, string meta, string release, string version)
    {
        string package = "linux-image-" + release;
        Add(packages, $"Package: {meta}\nVersion: {version}\nDepends: {package} (= {version})\n", []);
        Add(
            packages,
            $"Package: {package}\nVersion: {version}\nSize: 26000000\nDepends: kmod, linux-base | x\n",
            Package(package, version, ("./boot/vmlinuz-" + release, "kernel"), ("./boot/config-" + release, "CONFIG"), ($"./lib/modules/{release}/kernel/a.ko", "module"), ("./usr/share/doc/x", "no")));
    }

    public static void AddBusyBox(Dictionary<string, (string Stanza, byte[] File)> packages) =>
        Add(packages, "Package: busybox-static\nVersion: 1:1.35\n", Package("busybox-static", "1:1.35", ("./bin/busybox", "program")));

    private static byte[] Package(string name, string version, params (string Path, string Text)[] files)
    {
        using MemoryStream ar = new();
        ar.Write("!<arch>\n"u8);
        AddMember(ar, "debian-binary", "2.0\n"u8);
        AddMember(ar, "control.tar", Tar(("./control", $"Package: {name}\nVersion: {version}\n")));
        AddMember(ar, "data.tar", Tar(files));
        return ar.ToArray();
    }

    private static byte[] Tar(params (string Path, string Text)[] files)
    {
        using MemoryStream tar = new();
        using (TarWriter writer = new(tar, leaveOpen: true))
        {
            foreach ((string path, string text) in files)
            {
                writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) });
            }
        }

        return tar.ToArray();
    }

    private static void AddMember(MemoryStream ar, string name, ReadOnlySpan<byte> contents)
    {
        ar.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{name,-16}{0,-12}{0,-6}{0,-6}{100644,-8}{contents.Length,-10}`\n")));
        ar.Write(contents);
        ar.Write(contents.Length % 2 == 1 ? "\n"u8 : ""u8);
    }
}
