using System.Diagnostics;
using System.Globalization;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting;
using Uml.Hosting.Assets;
using Uml.Hosting.Images;

namespace Uml.Benchmarks;

/// <summary>
/// One boot to the first line of /init, as a user's fresh process sees it: wall time from process start, instructions retired, speed,
/// peak resident memory. A process measures one boot; run it several times.
/// </summary>
internal static class BootMeasurement
{
    private const string Marker = "first line of init";

    public static async Task RunAsync(string kernelName, ulong memory, string arguments)
    {
        DateTime processStart = Process.GetCurrentProcess().StartTime;
        var assets = new GuestAssetCache();
        BootFile kernel = await NamedFile.Kernel(kernelName, assets).FindAsync();
        var console = new InMemoryConsoleChannel();
        await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(options => options.MemorySize = memory)
            .UseKernel(
                kernel,
                await BusyBoxImage.CreateAsync(assets, new BusyBoxImageOptions { Command = $"echo {Marker}" }),
                $"console=ttyS0 quiet loglevel=1 panic=-1 {arguments}")
            .AddConsole(console)
            .Build();
        await machine.StartAsync();
        DateTime running = DateTime.Now;
        await console.ExpectAsync(Marker, TimeSpan.FromMinutes(5));
        DateTime arrived = DateTime.Now;
        ulong retired = machine.InstructionsRetired;
        await machine.WaitForExitAsync();
        using Process self = Process.GetCurrentProcess();
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{Path.GetFileName(kernel.Name)}, {memory >> 20} MiB: {(arrived - processStart).TotalSeconds:f2} s from process start to /init, " +
            $"{(running - processStart).TotalSeconds:f2} s of it before the first instruction; {retired / 1e6:f0} M instructions, " +
            $"{retired / (arrived - running).TotalMicroseconds:f1} MIPS; user {self.UserProcessorTime.TotalSeconds:f2} s; " +
            $"peak RSS {self.PeakWorkingSet64 >> 20} MiB"));
    }
}
