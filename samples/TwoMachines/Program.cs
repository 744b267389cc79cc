// Two machines in one process, at the same time: each gets a command, and each answers with its own memory and its own clock.
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Consoles;
using Uml.Hosting;
using Uml.Hosting.Assets;
using Uml.Hosting.Images;
using Uml.Hosting.Testing;

var assets = new GuestAssetCache();
KernelAsset kernel = await assets.GetKernelAsync("linux-image-cloud-amd64");
string[] answers = await Task.WhenAll(AskAsync("small", 96UL << 20), AskAsync("large", 256UL << 20));
foreach (string answer in answers)
{
    Console.WriteLine(answer);
}

async Task<string> AskAsync(string name, ulong memory)
{
    var console = new InMemoryConsoleChannel();
    await using IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
        .Configure(options => (options.Name, options.MemorySize) = (name, memory))
        .UseKernel(
            BootFile.FromPath(kernel.ImagePath),
            await BusyBoxImage.CreateAsync(assets, new BusyBoxImageOptions { HostName = name }),
            UmlMachine.DefaultCommandLine + " quiet loglevel=1")
        .AddConsole(console)
        .Build();
    await machine.StartAsync();
    using GuestShell shell = await GuestShell.AttachAsync(console, TimeSpan.FromMinutes(5));
    GuestCommandResult result = await shell.RunAsync("echo \"$(hostname) has $(awk '/MemTotal/ { print $2 }' /proc/meminfo) KiB\"");
    await console.WriteLineAsync("exit 0");
    MachineExit exit = await machine.WaitForExitAsync();
    return $"{result.Output.Trim()} and ended with {exit.Reason} {exit.Status} after {machine.InstructionsRetired / 1_000_000} million instructions";
}
